"""``caffe.proto``: the messages, as the module `caffe_pb2`."""
