"""The names around the net: NetSpec, coord_map, io, caffe_pb2, install, modes."""

from __future__ import annotations

import subprocess
import sys
import warnings

import numpy as np
import pytest
from google.protobuf import text_format

from deconv_legacy import caffe
from deconv_legacy.caffe import layers as L
from deconv_legacy.caffe import params as P
from deconv_legacy.caffe.coord_map import coord_map_from_to, crop
from deconv_legacy.caffe.proto import caffe_pb2
from deconv_legacy.errors import MismatchError, SizeError


def test_a_net_written_in_python_is_the_prototxt():
    n = caffe.NetSpec()
    n.data, n.label = L.DummyData(shape=[dict(dim=[5, 2, 3, 4]), dict(dim=[5])], ntop=2)
    n.conv = L.Convolution(
        n.data,
        kernel_size=[3, 2],
        num_output=6,
        weight_filler=dict(type="xavier"),
        param=[dict(lr_mult=1), dict(lr_mult=2)],
    )
    n["relu/1"] = L.ReLU(n.conv, in_place=True)
    n.pool = L.Pooling(n["relu/1"], pool=P.Pooling.AVE, kernel_size=2, stride=2)
    n.loss = L.SoftmaxWithLoss(L.InnerProduct(n.pool, num_output=3), n.label, loss_param=dict(ignore_label=255))
    n.silence = L.Silence(n.data, ntop=0)
    net = caffe_pb2.NetParameter()
    text_format.Merge(
        """
        layer { name: "data" type: "DummyData" top: "data" top: "label"
            dummy_data_param { shape { dim: 5 dim: 2 dim: 3 dim: 4 } shape { dim: 5 } } }
        layer { name: "conv" type: "Convolution" bottom: "data" top: "conv" param { lr_mult: 1 } param { lr_mult: 2 }
            convolution_param { num_output: 6 kernel_size: 3 kernel_size: 2 weight_filler { type: "xavier" } } }
        layer { name: "relu/1" type: "ReLU" bottom: "conv" top: "conv" }
        layer { name: "pool" type: "Pooling" bottom: "conv" top: "pool"
            pooling_param { pool: AVE kernel_size: 2 stride: 2 } }
        layer { name: "InnerProduct1" type: "InnerProduct" bottom: "pool" top: "InnerProduct1"
            inner_product_param { num_output: 3 } }
        layer { name: "loss" type: "SoftmaxWithLoss" bottom: "InnerProduct1" bottom: "label" top: "loss"
            loss_param { ignore_label: 255 } }
        layer { name: "silence" type: "Silence" bottom: "data" }""",
        net,
    )
    assert n.to_proto() == net and str(n.to_proto()) == str(net)
    assert [layer.name for layer in caffe.to_proto(n.loss).layer] == [
        "DummyData1", "Convolution1", "ReLU1", "Pooling1", "InnerProduct1", "SoftmaxWithLoss1"
    ]  # fmt: skip
    with pytest.raises(TypeError, match="Pooling input 0 is not a Top"):
        L.Pooling("conv", kernel_size=2)


def fcn(pad, kernel=4, stride=2, up=2):
    n = caffe.NetSpec()
    n.data = L.Input(shape=dict(dim=[2, 1, 100, 100]))
    n.conv = L.Convolution(n.data, num_output=3, kernel_size=kernel, stride=stride, pad=pad)
    n.relu = L.ReLU(n.conv, in_place=True)
    n.pool = L.Pooling(n.relu, kernel_size=2, stride=2)
    n.up = L.Deconvolution(n.pool, convolution_param=dict(num_output=3, kernel_size=2 * up, stride=up))
    n.ip = L.InnerProduct(n.data, num_output=2)
    return n


def test_maps_and_crops():
    n = fcn(pad=10, stride=1)
    axis, a, b = coord_map_from_to(n.up, n.data)
    assert axis == 1 and list(a) == [1] and list(b) == [-(10 - 3 / 2 - 1 / 2 + 3 / 2)] == [-9.5]
    n = fcn(pad=10, kernel=3, stride=1)
    cropped = crop(n.up, n.data)
    assert cropped.fn.params == {"crop_param": {"axis": 2, "offset": [10 - 1 + 1]}}
    assert coord_map_from_to(cropped, n.data)[2] == 0
    wide = fcn(pad=[0, 7], kernel=[3, 3], stride=[1, 1])
    _, a, b = coord_map_from_to(wide.up, wide.data)
    np.testing.assert_array_equal(a, [1, 1])
    assert b[0] - b[1] == 7
    with pytest.raises(RuntimeError, match="connect"):
        coord_map_from_to(n.data, n.ip)
    with pytest.raises(AssertionError, match="scale mismatch"):
        crop(n.pool, n.data)
    with pytest.raises(AssertionError, match="negative offset"):
        n = fcn(pad=0, kernel=5, stride=1)
        crop(n.up, n.data)


def test_arrays_and_messages():
    array = np.random.default_rng(0).standard_normal((2, 3, 4))
    blob = caffe.io.array_to_blobproto(array, diff=-array)
    np.testing.assert_array_equal(caffe.io.blobproto_to_array(blob), array.astype("float32"))
    np.testing.assert_array_equal(caffe.io.blobproto_to_array(blob, return_diff=True), -array.astype("float32"))
    old = caffe_pb2.BlobProto(num=1, channels=1, height=2, width=3, data=range(6))
    assert caffe.io.blobproto_to_array(old).shape == (1, 1, 2, 3)
    text = caffe.io.arraylist_to_blobprotovector_str([array, array[0]])
    assert [a.shape for a in caffe.io.blobprotovector_str_to_arraylist(text)] == [(2, 3, 4), (3, 4)]
    pixels = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    for values, label in ((pixels, 5), (array, None)):
        datum = caffe.io.array_to_datum(values, label)
        np.testing.assert_allclose(caffe.io.datum_to_array(datum), values, rtol=1e-6)
        assert datum.label == (label or 0)
    with pytest.raises(SizeError):
        caffe.io.array_to_datum(array[0])


def test_images_go_into_a_net_and_back():
    image = np.random.default_rng(1).random((4, 5, 3)).astype("float32")
    t = caffe.io.Transformer({"data": (1, 3, 4, 5)})
    t.set_transpose("data", (2, 0, 1))
    t.set_channel_swap("data", (2, 1, 0))
    t.set_raw_scale("data", 255)
    t.set_mean("data", np.array([1.0, 2, 3]))
    t.set_input_scale("data", 0.5)
    made = t.preprocess("data", image)
    np.testing.assert_allclose(
        made, (image[:, :, ::-1].transpose(2, 0, 1) * 255 - np.array([1, 2, 3])[:, None, None]) / 2, rtol=1e-5
    )
    np.testing.assert_allclose(t.deprocess("data", made), image, rtol=1e-5, atol=1e-6)
    for call, value in ((t.set_mean, np.zeros(2)), (t.set_transpose, (0, 1)), (t.set_channel_swap, (0, 1))):
        with pytest.raises(MismatchError):
            call("data", value)
    with pytest.raises(MismatchError, match="label is not one of the net inputs"):
        t.preprocess("label", image)
    half = caffe.io.resize_image(np.arange(8.0)[:, None, None] * np.ones((1, 6, 1)), (4, 3))
    np.testing.assert_allclose(half[..., 0], np.array([0.5, 2.5, 4.5, 6.5])[:, None] * np.ones((1, 3)), atol=1e-6)


def test_modes_warn_once():
    caffe.set_mode_cpu()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(2):
            caffe.set_mode_gpu()
    assert len(caught) <= 1  # and none where there is a GPU
    caffe.set_mode_cpu()
    assert "Deconvolution" in caffe.layer_type_list() and not caffe.has_nccl()
    assert (caffe.TRAIN, caffe.TEST) == (0, 1) == (caffe_pb2.TRAIN, caffe_pb2.TEST)


def test_import_caffe_is_ours_on_request_only():
    code = """
import sys
import deconv_legacy.caffe
assert "caffe" not in sys.modules and "google.protobuf" not in sys.modules and "h5py" not in sys.modules
deconv_legacy.caffe.install()
import caffe
from caffe import layers as L, params as P
from caffe.coord_map import crop
from caffe.proto import caffe_pb2
import caffe.io
assert caffe is deconv_legacy.caffe and caffe_pb2.NetParameter().ByteSize() == 0 and P.Pooling.MAX == 0
caffe.uninstall()
assert not [name for name in sys.modules if name.split(".")[0] == "caffe"]
"""
    subprocess.run([sys.executable, "-c", code], check=True)
