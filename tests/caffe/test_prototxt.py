"""The text format: what Caffe reads, what it refuses and where, and how C++ prints."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
import pytest
from google.protobuf import text_format
from hypothesis import given, settings
from hypothesis import strategies as st

from deconv_legacy.caffe import prototxt, schema
from deconv_legacy.errors import FileFormatError

DATA = Path(__file__).parents[1] / "data" / "caffe"
LOADABLE = dict(json.loads((DATA / "legacy" / "textformat" / "loadable.json").read_text()))
# Its text is well formed; that there is no layer type "power" is for the net to say.
READABLE = {name for name, case in LOADABLE.items() if case["accepted"]} | {"type_case"}


@pytest.mark.parametrize("name", sorted(LOADABLE))
def test_reads_what_caffe_reads(name):
    case = LOADABLE[name]
    if "control" in case:
        prototxt.parse_net(case["control"])
    if name in READABLE:
        net = prototxt.parse_net(case["net"])
        if "layers" in case:
            assert [[layer.name, layer.type] for layer in net.layer] == case["layers"]
        if "shapes" in case and net.layer:
            assert list(net.layer[0].input_param.shape[0].dim) == case["shapes"]["data"]
    else:
        with pytest.raises(FileFormatError) as error:
            prototxt.parse_net(case["net"], path="net.prototxt")
        assert error.value.path == "net.prototxt"
        assert error.value.line >= 1
        assert error.value.column >= 1


@pytest.mark.parametrize(
    ("text", "line", "column", "words"),
    [
        ('name: "a"\nlayer {\n  nam: "b"\n}', 3, 3, ["LayerParameter has no field 'nam'", "near names: name"]),
        ('train_net: "a"', 1, 1, ["NetParameter has no field 'train_net'; this is a solver"]),
        ("layer {\n\tpooling_param { pool: max }\n}", 2, 24, ["'max' is no value of PoolMethod", "MAX"]),
        ("layer { convolution_param { pad: 1.0 } }", 1, 34, ["'pad' takes an integer, not 1.0"]),
        ("layer { convolution_param { pad: -1 } }", 1, 34, ["takes no negative number"]),
        ("layer { crop_param { axis: 2147483648 } }", 1, 28, ["-2147483648 to 2147483647"]),
        ("layer { scale_param { axis: 08 } }", 1, 29, ["'08' is no number"]),
        ("layer { power_param { scale: 0x10 } }", 1, 30, ["takes a decimal number"]),
        ("layer { power_param { scale: 2scale } }", 1, 30, ["'2scale' is no number"]),
        ("layer { power_param { scale: 1 scale: 2 } }", 1, 32, ["given twice"]),
        ("layer { power_param { } power_param { } }", 1, 25, ["given twice"]),
        ("layer { clip_param { min: 0 } }", 1, 20, ["ClipParameter needs max"]),
        ("layer { name: 'a\\q' }", 1, 15, ["unknown escape '\\\\q'"]),
        ("layer { name: 'a\n' }", 1, 15, ["does not end on its line"]),
        ("layer { name: '\\377' }", 1, 15, ["not UTF-8"]),
        ("layer [ { name: 'a' } { name: 'b' } ]", 1, 23, ["',' or ']'"]),
        ("layer { name: [ 'a' ] }", 1, 15, ["expected a value, found '['"]),
        ("layer {", 1, 8, ["the end of the file"]),
        ("layer { @ }", 1, 9, ["unexpected character '@'"]),
        ("force_backward: tru", 1, 17, ["true or false, not tru"]),
        ("unknown " + "{ a " * 150, 1, 1, ["no field 'unknown'", "  1:411: blocks are nested more than 100 deep"]),
    ],
)
def test_problems_have_a_place(text, line, column, words):
    with pytest.raises(FileFormatError) as error:
        prototxt.parse_net(text)
    assert (error.value.line, error.value.column) == (line, column), str(error.value)
    for word in words:
        assert word in str(error.value)


def test_all_problems_are_listed():
    text = """
    nam: "x"
    layer { type: RELU top: "y" dropout_param { dropout_ratio: "half" } }
    layer { pooling_param { pool: MEAN stride: 2.5 kernel_size: 3 kernel_size: 2 } colour { r: [1, 2] } }
    input_dim: 1 input_dim: [2, -3, 99999999999] force_backward: 7
    }"""
    with pytest.raises(FileFormatError) as error:
        prototxt.parse_net(text, path="a.prototxt")
    message = str(error.value)
    assert message.startswith("a.prototxt:2:5: NetParameter has no field 'nam'")
    assert "10 problems in all" in message
    assert "found '}'" in message
    for place in ["2:5", "3:19", "3:64", "4:35", "4:48", "4:67", "4:84", "5:37", "5:66", "6:5"]:
        assert f"  a.prototxt:{place}: " in message, place


def test_unknown_fields_on_request():
    text = """layer { name: "a" convolution_param { hole: 2 pad: 1 } colour: [ { r: 1 }, < g: 'x' 'y' > ] }
layer { name: "b" bn_param { bn_mode: INFERENCE } convolution_param { hole: 4 } }
layers_: -inf
"""
    with pytest.raises(
        FileFormatError, match=r"5 problems(.|\n)* 'hole'; forks of Caffe have it, and --forks reads it"
    ):
        prototxt.parse_net(text)
    with pytest.warns(UserWarning) as caught:
        net = prototxt.parse_net(text, path="deeplab.prototxt", allow_unknown=True)
    assert len(caught) == 1
    warning = str(caught[0].message)
    assert "deeplab.prototxt" in warning
    assert "ConvolutionParameter.hole (of a fork; kept) at 1:39, 2:71" in warning
    assert "LayerParameter has no field 'colour' (skipped) at 1:56" in warning
    assert "NetParameter has no field 'layers_' (skipped) at 3:1" in warning
    assert [layer.convolution_param.hole for layer in net.layer] == [2, 4]
    assert list(net.layer[0].convolution_param.pad) == [1]
    assert net.layer[1].bn_param.bn_mode == 1


def test_fork_layers_of_v1():
    with pytest.warns(UserWarning, match=r"LayerType CROP \(of a fork; kept\) at 1:16"):
        net = prototxt.parse_net("layers { type: CROP name: 'c' crop_param { } }", allow_unknown=True)
    assert net.layer[0].type == "Crop"
    with pytest.raises(FileFormatError, match="'CROP' is no value of LayerType"):
        prototxt.parse_net("layers { type: CROP name: 'c' }")


def test_crops_of_forks_without_parameters_are_told():
    with (
        pytest.warns(UserWarning, match=r"LayerType CROP \(of a fork; kept\) at 1:16"),
        pytest.warns(UserWarning, match=r"Crop layers without crop_param at 1:1: each finds its offset"),
    ):
        prototxt.parse_net("layers { type: CROP name: 'c' }", allow_unknown=True)


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (0.1, "0.1"),
        (1e-5, "1e-05"),
        (1, "1"),
        (1e10, "1e+10"),
        (123456, "123456"),
        (1234567, "1234567"),  # 6 digits give another value, so 9
        (1 / 255, "0.00392156886"),
        (104.00699, "104.006989"),
        (3.4028234e38, "3.40282347e+38"),
        (float("inf"), "inf"),
        (-float("inf"), "-inf"),
        (float("nan"), "nan"),
        (-0.0, "-0"),
    ],
)
def test_floats_as_cpp_prints_them(value, written):
    message = schema.messages().PowerParameter(power=value)
    assert str(message) == f"power: {written}\n"


def test_strings_and_order_as_cpp_prints_them():
    pb = schema.messages()
    layer = pb.LayerParameter(type="Python", name="caf\u00e9 'a' \"b\" \\\n\r\t\x01\x7f")
    layer.python_param.param_str = "{'a': 1}"
    layer.phase = pb.TEST
    layer.propagate_down.extend([True, False])
    layer.convolution_param.stride.append(4)  # field 6 after group, 5, whatever the order of assignment
    layer.convolution_param.group = 2
    layer.input_param.SetInParent()
    assert str(layer) == (
        'name: "caf\\303\\251 \\\'a\\\' \\"b\\" \\\\\\n\\r\\t\\001\\177"\n'
        'type: "Python"\nphase: TEST\npropagate_down: true\npropagate_down: false\n'
        "convolution_param {\n  group: 2\n  stride: 4\n}\n"
        "python_param {\n  param_str: \"{\\'a\\': 1}\"\n}\n"
        "input_param {\n}\n"
    )
    assert prototxt.format_message(layer) == str(layer)
    assert str(pb.NetParameter()) == ""


def test_file_round_trip(tmp_path):
    text = (DATA / "legacy" / "v1_small" / "upgraded.prototxt").read_bytes()
    net = prototxt.read_net(DATA / "legacy" / "v1_small" / "upgraded.prototxt")
    path = tmp_path / "written.prototxt"
    prototxt.write_net(path, net)
    assert path.read_bytes() == text  # Caffe wrote it
    assert list(tmp_path.iterdir()) == [path]


def test_a_failed_write_leaves_the_file(tmp_path):
    path = tmp_path / "net.prototxt"
    path.write_text("name: 'old'")
    with pytest.raises(AttributeError):
        prototxt.write_net(path, "no message")
    assert path.read_text() == "name: 'old'"
    assert list(tmp_path.iterdir()) == [path]


def test_encodings(tmp_path):
    path = tmp_path / "net.prototxt"
    path.write_bytes(b"\xef\xbb\xbf# \xb5\xc7 in another code page\r\nname: 'caf\xc3\xa9'\r\n")
    assert prototxt.read_net(path).name == "caf\u00e9"
    path.write_bytes(b"# fine \xff\nname: 'ab\xff'")
    with pytest.raises(FileFormatError, match=r"net\.prototxt:2:7: 'name': the string is not UTF-8"):
        prototxt.read_net(path)
    with pytest.raises(FileFormatError, match=r"binary \(a caffemodel\?\); a prototxt is text"):
        prototxt.read_net(DATA / "legacy" / "v1_small" / "v1.caffemodel")


def test_read_solver(tmp_path):
    path = tmp_path / "solver.prototxt"
    path.write_text("base_lr: 1e-14 lr_policy: 'fixed' momentum: .99 solver_type: ADAGRAD iter_size: 20")
    solver = prototxt.read_solver(path)
    assert solver.type == "AdaGrad"
    assert not solver.HasField("solver_type")
    assert solver.base_lr == np.float32(1e-14)
    assert solver.snapshot_prefix == str(tmp_path / "solver")
    path.write_text(f"snapshot_prefix: '{tmp_path}'")
    assert prototxt.read_solver(path).snapshot_prefix == str(tmp_path / "solver")
    path.write_text("snapshot_prefix: 'train'")
    assert prototxt.read_solver(path).snapshot_prefix == "train"
    path.write_text("type: 'SGD' solver_type: SGD")
    with pytest.raises(FileFormatError, match="both `solver_type`"):
        prototxt.read_solver(path)


# Any message, against protobuf's own text format

_STRINGS = st.text(st.characters(codec="utf-8"), max_size=8)


def values(field):
    kind = field.cpp_type
    if kind == field.CPPTYPE_STRING:
        return _STRINGS if field.type == field.TYPE_STRING else st.binary(max_size=6)
    if kind == field.CPPTYPE_ENUM:
        return st.sampled_from([value.number for value in field.enum_type.values])
    if kind == field.CPPTYPE_BOOL:
        return st.booleans()
    if kind == field.CPPTYPE_FLOAT:
        return st.floats(width=32, allow_nan=False)
    if kind == field.CPPTYPE_DOUBLE:
        return st.floats(allow_nan=False)
    bits = 32 if kind in (field.CPPTYPE_INT32, field.CPPTYPE_UINT32) else 64
    if kind in (field.CPPTYPE_UINT32, field.CPPTYPE_UINT64):
        return st.integers(0, 2**bits - 1)
    return st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


@st.composite
def filled(draw, message, depth=3):
    """A message with a few of its fields set."""
    fields = list(message.DESCRIPTOR.fields)
    if message.DESCRIPTOR.name != "ClipParameter":  # both of its fields are required
        fields = draw(st.lists(st.sampled_from(fields), unique_by=lambda field: field.name, max_size=5))
    for field in fields:
        holder = getattr(message, field.name)
        repeated = hasattr(holder, "append")
        if field.message_type is None:
            drawn = draw(st.lists(values(field), max_size=3) if repeated else values(field))
            if repeated:
                holder.extend(drawn)
            else:
                setattr(message, field.name, drawn)
        elif depth > 0:
            for child in [holder.add()] if repeated else [holder]:
                child.SetInParent()
                draw(filled(child, depth - 1))
    return message


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_message_against_protobufs_own_text_format(data):
    pb = schema.messages()
    for kind in (pb.NetParameter, pb.SolverParameter):
        message = data.draw(filled(kind()))
        text = str(message)
        assert text.isascii()
        assert prototxt.parse_message(text, kind()) == message
        assert text_format.Parse(text, kind()) == message
        other = text_format.MessageToString(message, use_short_repeated_primitives=True, as_utf8=True)
        assert prototxt.parse_message(other, kind()) == message
        # one line, angle brackets
        other = text_format.MessageToString(message, as_one_line=True, pointy_brackets=True)
        assert prototxt.parse_message(other, kind()) == message


SOURCES = [
    (DATA / "nets" / "fcn8s" / "train.prototxt").read_text(),
    (DATA / "legacy" / "v1_small" / "v1.prototxt").read_text(),
    'input: "a" input_dim: [1, 2, 3, 4] layers { layer { name: "c" type: "conv" pad: 1 blobs_lr: 1. } bottom: "a" }',
    LOADABLE["escapes"]["net"],
]


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_changed_text_is_read_or_refused(data):
    """Never another exception, never a hang."""
    text = data.draw(st.sampled_from(SOURCES))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(text)))
        to = at + data.draw(st.integers(0, 12))
        text = text[:at] + data.draw(st.text("{}<>[]:;,-\"'\\#\n 0x1.e9azT\u00e9\ud800", max_size=6)) + text[to:]
    for allow_unknown in (False, True):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                net = prototxt.parse_net(text, allow_unknown=allow_unknown)
            except FileFormatError as error:
                assert error.line is None or error.line <= text.count("\n") + 1
            else:
                again = prototxt.parse_message(str(net), type(net)())
                assert str(again) == str(net)
