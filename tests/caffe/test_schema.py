"""The message classes: Caffe's facts, and the behaviour of caffe_pb2."""

from __future__ import annotations

import hashlib
import sys

import numpy as np
import pytest
from google.protobuf import descriptor_pb2

from deconv_legacy.caffe import schema
from deconv_legacy.errors import MissingExtraError


def facts(pb):
    """Every fact of the schema as lines: names, numbers, types, labels, packing, defaults and enum values."""
    lines = []
    enums = dict(pb.DESCRIPTOR.enum_types_by_name)
    for message in descriptor_pb2.FileDescriptorProto.FromString(pb.DESCRIPTOR.serialized_pb).message_type:
        for enum in pb.DESCRIPTOR.message_types_by_name[message.name].enum_types:
            enums[f"{message.name}.{enum.name}"] = enum
        for field in message.field:
            kind = field.type_name or field.type
            default = ""
            if field.label != field.LABEL_REPEATED and field.type != field.TYPE_MESSAGE:
                default = getattr(getattr(pb, message.name)(), field.name)
            if isinstance(default, float):
                default = np.float32(default)
            packed = field.options.packed
            lines.append(f"{message.name}.{field.name} {field.number} {kind} {field.label} {packed} {default}")
    for name, enum in enums.items():
        lines.append(f"enum {name} {sorted((value.number, value.name) for value in enum.values)}")
    return sorted(lines)


def test_the_facts_are_those_of_caffe_proto():
    """The digest was taken when protoc's reading of BVLC's caffe.proto gave the same lines."""
    lines = facts(schema.messages())
    assert len(lines) == 449
    assert hashlib.sha256("\n".join(lines).encode()).hexdigest() == (
        "d5bb38baf4bfe99cf6081f7aef355076355c9d77660d3603165b02905d694f7d"
    )


def test_a_few_facts_by_hand():
    pb = schema.messages()
    assert pb.LayerParameter.DESCRIPTOR.fields_by_name["convolution_param"].number == 106
    assert pb.V1LayerParameter.DECONVOLUTION == 39
    assert pb.NetParameter.DESCRIPTOR.fields_by_name["layers"].number == 2
    convolution = pb.ConvolutionParameter()
    assert (convolution.bias_term, convolution.group, convolution.axis) == (True, 1, 1)
    assert not convolution.HasField("group")
    assert pb.FillerParameter().type == "constant"
    assert pb.EltwiseParameter().operation == pb.EltwiseParameter.SUM == 1
    assert pb.NetState().phase == pb.TEST == pb.Phase.Value("TEST") == 1
    assert np.float32(pb.SolverParameter().delta) == np.float32(1e-8)
    assert pb.SolverParameter().snapshot_format == pb.SolverParameter.BINARYPROTO


def test_messages_behave_as_in_pycaffe():
    pb = schema.messages()
    blob = pb.BlobProto()
    blob.shape.dim.extend((2, 3))
    blob.data.extend(np.arange(6, dtype=float).flat)
    assert np.array_equal(np.array(blob.data).reshape(blob.shape.dim), np.arange(6).reshape(2, 3))
    # packed, as every reader of caffemodels expects: one key, one length, 24 bytes; then the shape
    assert blob.SerializeToString() == b"\x2a\x18" + np.arange(6, dtype="<f4").tobytes() + b"\x3a\x04\x0a\x02\x02\x03"
    with pytest.raises(AttributeError):
        pb.ConvolutionParameter().hole = 2


def test_forks_are_apart():
    pb = schema.messages(forks=True)
    assert pb.V1LayerParameter.CROP == 40
    assert (pb.V1LayerParameter.UNPOOLING, pb.V1LayerParameter.BN) == (42, 43)
    assert pb.BNParameter(bn_mode=pb.BNParameter.INFERENCE).bn_mode == 1
    assert pb.ConvolutionParameter(hole=2).hole == 2
    assert pb.UpsampleParameter().scale == 2
    fork = set(facts(pb))
    changed = [line for line in facts(schema.messages()) if line not in fork]
    assert [line.split()[:2] for line in changed] == [["enum", "V1LayerParameter.LayerType"]]
    assert not hasattr(schema.messages().V1LayerParameter, "CROP")


def test_is_fork():
    assert schema.is_fork("ConvolutionParameter", "hole")
    assert not schema.is_fork("ConvolutionParameter", "dilation")
    assert not schema.is_fork("ConvolutionParameter", "nonsense")
    assert not schema.is_fork("BNParameter", "bn_mode")  # the message is theirs, not an addition
    assert schema.is_fork("V1LayerParameter", "type", "CROP")
    assert not schema.is_fork("V1LayerParameter", "type", "SPLIT")
    assert not schema.is_fork("V1LayerParameter", "type", "NONSENSE")


def test_without_protobuf(monkeypatch):
    monkeypatch.setitem(sys.modules, "google.protobuf", None)
    with pytest.raises(MissingExtraError, match=r'protobuf: pip install "deconv_legacy\[caffe\]"'):
        schema._build.__wrapped__(False)
