"""Old nets brought to today's form, step by step as Caffe does when it reads a file.

V0 (``layers { layer { type: "conv" } }``) to V1 (``layers { type: CONVOLUTION }``), the transformation
parameters of V1 data layers, V1 to V2 (``layer { type: "Convolution" }``), ``input`` fields to an Input
layer, learning rates of old batch normalisation.

Where Caffe logs an error and goes on, we warn; where its CHECK kills the process, we raise.
Source: ``src/caffe/util/upgrade_proto.cpp`` of BVLC/caffe.
"""

from __future__ import annotations

import warnings
from typing import Any

from deconv_legacy.errors import FileFormatError

__all__ = ["LAYER_TYPES", "upgrade_net", "upgrade_solver", "upgrades_needed"]

#: The layer type of V2 (a string) for each of V1 (an enum value).
LAYER_TYPES = {
    "NONE": "",
    "ABSVAL": "AbsVal",
    "ACCURACY": "Accuracy",
    "ARGMAX": "ArgMax",
    "BNLL": "BNLL",
    "CONCAT": "Concat",
    "CONTRASTIVE_LOSS": "ContrastiveLoss",
    "CONVOLUTION": "Convolution",
    "DATA": "Data",
    "DECONVOLUTION": "Deconvolution",
    "DROPOUT": "Dropout",
    "DUMMY_DATA": "DummyData",
    "ELTWISE": "Eltwise",
    "EUCLIDEAN_LOSS": "EuclideanLoss",
    "EXP": "Exp",
    "FLATTEN": "Flatten",
    "HDF5_DATA": "HDF5Data",
    "HDF5_OUTPUT": "HDF5Output",
    "HINGE_LOSS": "HingeLoss",
    "IM2COL": "Im2col",
    "IMAGE_DATA": "ImageData",
    "INFOGAIN_LOSS": "InfogainLoss",
    "INNER_PRODUCT": "InnerProduct",
    "LRN": "LRN",
    "MEMORY_DATA": "MemoryData",
    "MULTINOMIAL_LOGISTIC_LOSS": "MultinomialLogisticLoss",
    "MVN": "MVN",
    "POOLING": "Pooling",
    "POWER": "Power",
    "RELU": "ReLU",
    "SIGMOID": "Sigmoid",
    "SIGMOID_CROSS_ENTROPY_LOSS": "SigmoidCrossEntropyLoss",
    "SILENCE": "Silence",
    "SLICE": "Slice",
    "SOFTMAX": "Softmax",
    "SOFTMAX_LOSS": "SoftmaxWithLoss",
    "SPLIT": "Split",
    "TANH": "TanH",
    "THRESHOLD": "Threshold",
    "WINDOW_DATA": "WindowData",
    # of the forks (schema.messages(forks=True))
    "BN": "BN",
    "CROP": "Crop",
    "DENSE_CRF": "DenseCRF",
    "ELTWISE_ACCURACY": "EltwiseAccuracy",
    "IMAGE_SEG_DATA": "ImageSegData",
    "INTERP": "Interp",
    "MAT_READ": "MatRead",
    "MAT_WRITE": "MatWrite",
    "PADDING": "Padding",
    "SEG_ACCURACY": "SegAccuracy",
    "UNPOOLING": "Unpooling",
    "WINDOW_SEG_DATA": "WindowSegData",
}

# V0 type -> V1 enum value; "padding" has none: it disappears into the layer after it.
_V0_TYPES = {
    "accuracy": "ACCURACY",
    "bnll": "BNLL",
    "concat": "CONCAT",
    "conv": "CONVOLUTION",
    "data": "DATA",
    "dropout": "DROPOUT",
    "euclidean_loss": "EUCLIDEAN_LOSS",
    "flatten": "FLATTEN",
    "hdf5_data": "HDF5_DATA",
    "hdf5_output": "HDF5_OUTPUT",
    "im2col": "IM2COL",
    "images": "IMAGE_DATA",
    "infogain_loss": "INFOGAIN_LOSS",
    "innerproduct": "INNER_PRODUCT",
    "lrn": "LRN",
    "multinomial_logistic_loss": "MULTINOMIAL_LOGISTIC_LOSS",
    "pool": "POOLING",
    "relu": "RELU",
    "sigmoid": "SIGMOID",
    "softmax": "SOFTMAX",
    "softmax_loss": "SOFTMAX_LOSS",
    "split": "SPLIT",
    "tanh": "TANH",
    "window_data": "WINDOW_DATA",
}

_WEIGHTED = {"conv": "convolution_param", "innerproduct": "inner_product_param"}
_WINDOWED = {"conv": "convolution_param", "pool": "pooling_param"}
_SOURCES = {
    "data": "data_param",
    "hdf5_data": "hdf5_data_param",
    "images": "image_data_param",
    "window_data": "window_data_param",
}
_ANY = "transform_param"  # for layers of every type

# V0 field -> (V1 field, the parameter message that has it: by V0 type, or for every type)
_V0_FIELDS: dict[str, tuple[str, dict[str, str] | str]] = {
    "num_output": ("num_output", _WEIGHTED),
    "biasterm": ("bias_term", _WEIGHTED),
    "weight_filler": ("weight_filler", _WEIGHTED),
    "bias_filler": ("bias_filler", _WEIGHTED),
    "pad": ("pad", _WINDOWED),
    "kernelsize": ("kernel_size", _WINDOWED),
    "stride": ("stride", _WINDOWED),
    "group": ("group", {"conv": "convolution_param"}),
    "pool": ("pool", {"pool": "pooling_param"}),
    "dropout_ratio": ("dropout_ratio", {"dropout": "dropout_param"}),
    "local_size": ("local_size", {"lrn": "lrn_param"}),
    "alpha": ("alpha", {"lrn": "lrn_param"}),
    "beta": ("beta", {"lrn": "lrn_param"}),
    "k": ("k", {"lrn": "lrn_param"}),
    "source": ("source", _SOURCES | {"infogain_loss": "infogain_loss_param"}),
    "batchsize": ("batch_size", _SOURCES),
    "scale": ("scale", _ANY),
    "meanfile": ("mean_file", _ANY),
    "cropsize": ("crop_size", _ANY),
    "mirror": ("mirror", _ANY),
    "rand_skip": ("rand_skip", {"data": "data_param", "images": "image_data_param"}),
    "shuffle_images": ("shuffle", {"images": "image_data_param"}),
    "new_height": ("new_height", {"images": "image_data_param"}),
    "new_width": ("new_width", {"images": "image_data_param"}),
    "concat_dim": ("concat_dim", {"concat": "concat_param"}),
    "det_fg_threshold": ("fg_threshold", {"window_data": "window_data_param"}),
    "det_bg_threshold": ("bg_threshold", {"window_data": "window_data_param"}),
    "det_fg_fraction": ("fg_fraction", {"window_data": "window_data_param"}),
    "det_context_pad": ("context_pad", {"window_data": "window_data_param"}),
    "det_crop_mode": ("crop_mode", {"window_data": "window_data_param"}),
}

_DATA_PARAMS = {"DATA": "data_param", "IMAGE_DATA": "image_data_param", "WINDOW_DATA": "window_data_param"}
_TRANSFORMATIONS = ("scale", "mean_file", "crop_size", "mirror")

_SOLVER_TYPES = {
    "SGD": "SGD",
    "NESTEROV": "Nesterov",
    "ADAGRAD": "AdaGrad",
    "RMSPROP": "RMSProp",
    "ADADELTA": "AdaDelta",
    "ADAM": "Adam",
}


def upgrades_needed(net: Any) -> list[str]:
    """What is old in a NetParameter: some of ``"V0 layers"``, ``"V1 layers"``, ``"data transformations"``,
    ``"input fields"``, ``"batch norm params"``; empty for a net of today."""
    found = {
        "V0 layers": _has_v0(net),
        "V1 layers": len(net.layers) > 0,
        "data transformations": _needs_data_upgrade(net),
        "input fields": len(net.input) > 0,
        "batch norm params": any(_is_old_batch_norm(layer) for layer in net.layer),
    }
    return [name for name, needed in found.items() if needed]


def upgrade_net(net: Any, *, path: object = None) -> Any:
    """A NetParameter in today's form (V2); the given one stays as it is.

    Parameters
    ----------
    net
        A NetParameter of any age.
    path
        The file it is from, for errors.

    Raises
    ------
    FileFormatError
        The net mixes ``layer`` with ``layers``, or V0 layers with V1 layers; an unknown V0 type; a padding
        layer before a layer that takes none; ``input`` without its four ``input_dim`` or its ``input_shape``.

    Examples
    --------
    >>> from deconv_legacy.caffe.schema import messages
    >>> old = messages().NetParameter()
    >>> _ = old.layers.add(name="up", type="DECONVOLUTION", bottom=["x"], top=["y"], blobs_lr=[0])
    >>> print(upgrade_net(old).layer[0])
    name: "up"
    type: "Deconvolution"
    bottom: "x"
    top: "y"
    param {
      lr_mult: 0
    }
    <BLANKLINE>
    """
    result = type(net)()
    result.CopyFrom(net)
    try:
        if _has_v0(result):
            result = _upgrade_v0(result)
        if _needs_data_upgrade(result):
            _upgrade_data_transformations(result)
        if result.layers:
            _upgrade_v1(result)
        if result.input:
            _upgrade_inputs(result)
    except _Refusal as refusal:
        raise FileFormatError(str(refusal), path=path) from None
    for layer in result.layer:
        if _is_old_batch_norm(layer):
            for param in layer.param:  # statistics that the solver must not touch
                param.lr_mult = param.decay_mult = 0
    return result


def upgrade_solver(solver: Any, *, path: object = None) -> Any:
    """A SolverParameter whose ``type`` is the string of today; the given one stays as it is.

    Raises
    ------
    FileFormatError
        Both ``solver_type`` and ``type`` are given.
    """
    result = type(solver)()
    result.CopyFrom(solver)
    if result.HasField("solver_type"):
        if result.HasField("type"):
            raise FileFormatError("the solver has both `solver_type` (old) and `type`: keep one", path=path)
        enum = result.DESCRIPTOR.fields_by_name["solver_type"].enum_type
        result.type = _SOLVER_TYPES[enum.values_by_number[result.solver_type].name]
        result.ClearField("solver_type")
    return result


class _Refusal(Exception):
    """A net that cannot be upgraded, and why."""


def _has_v0(net: Any) -> bool:
    return any(layer.HasField("layer") for layer in net.layers)


def _type_name(layer: Any) -> str:
    return layer.DESCRIPTOR.fields_by_name["type"].enum_type.values_by_number[layer.type].name


def _is_old_batch_norm(layer: Any) -> bool:
    return layer.type == "BatchNorm" and len(layer.param) == 3


def _set(message: Any, name: str, value: Any) -> None:
    """Set a field of whatever kind."""
    target = getattr(message, name)
    if hasattr(target, "CopyFrom"):
        target.CopyFrom(value)
    elif hasattr(target, "append"):
        target.append(value)
    else:
        setattr(message, name, value)


# V0 to V1


def _upgrade_v0(net: Any) -> Any:
    for index, layer in enumerate(net.layers):
        if not layer.HasField("layer"):
            raise _Refusal(f"layers[{index}] ({layer.name!r}) is V1 in a net of V0 layers: it has no `layer`")
    layers = _without_padding_layers(net)
    result = type(net)(input=net.input, input_dim=net.input_dim)
    for name in ("name", "force_backward"):
        if net.HasField(name):
            setattr(result, name, getattr(net, name))
    for layer in layers:
        _upgrade_v0_layer(layer, result.layers.add())
    return result


def _without_padding_layers(net: Any) -> list[Any]:
    """The layers but the padding ones, whose pad is given to the convolution or pooling that follows."""
    result: list[Any] = []
    producer: dict[str, Any] = dict.fromkeys(net.input)
    for layer in net.layers:
        kept = type(layer)()
        kept.CopyFrom(layer)
        for index, blob in enumerate(layer.bottom):
            if blob not in producer:
                raise _Refusal(f"unknown blob {blob!r}, bottom {index} of layer {layer.layer.name!r}")
            source = producer[blob]
            if source is None or source.layer.type != "padding":
                continue
            if layer.layer.type not in _WINDOWED or not len(layer.bottom) == len(source.bottom) == len(source.top) == 1:
                raise _Refusal(
                    f"padding layer {source.layer.name!r} before layer {layer.layer.name!r} "
                    f"({layer.layer.type}): it has one bottom and one top, as has the conv or pool after it"
                )
            kept.layer.pad = source.layer.pad
            kept.bottom[index] = source.bottom[0]
        if layer.layer.type != "padding":
            result.append(kept)
        producer.update(dict.fromkeys(layer.top, layer))
    return result


def _upgrade_v0_layer(connection: Any, result: Any) -> None:
    old = connection.layer
    result.bottom.extend(connection.bottom)
    result.top.extend(connection.top)
    for field, value in old.ListFields():
        if field.name == "name":
            result.name = value
        elif field.name == "type":
            if value not in _V0_TYPES:
                raise _Refusal(
                    f"unknown V0 layer type {value!r} of layer {old.name!r}; there are {', '.join(_V0_TYPES)}"
                )
            result.type = getattr(type(result), _V0_TYPES[value])  # pure-Python protobuf takes no names
        elif field.name in ("blobs", "blobs_lr", "weight_decay"):
            getattr(result, field.name).extend(value)
        elif field.name == "hdf5_output_param" and old.type == "hdf5_output":
            result.hdf5_output_param.CopyFrom(value)
        else:
            name, places = _V0_FIELDS.get(field.name, ("", {}))
            param = places if isinstance(places, str) else places.get(old.type)
            if param is None:
                warnings.warn(f"layer {old.name!r}: V0 type {old.type!r} has no {field.name!r}; ignored", stacklevel=5)
            else:
                _set(getattr(result, param), name, value)


# Data transformations


def _needs_data_upgrade(net: Any) -> bool:
    for layer in net.layers:
        param = _DATA_PARAMS.get(_type_name(layer))
        if param and any(getattr(layer, param).HasField(name) for name in _TRANSFORMATIONS):
            return True
    return False


def _upgrade_data_transformations(net: Any) -> None:
    for layer in net.layers:
        param = _DATA_PARAMS.get(_type_name(layer))
        if param is None:
            continue
        source = getattr(layer, param)
        source.SetInParent()
        layer.transform_param.SetInParent()
        for name in _TRANSFORMATIONS:
            if source.HasField(name):
                setattr(layer.transform_param, name, getattr(source, name))
                source.ClearField(name)


# V1 to V2


def _upgrade_v1(net: Any) -> None:
    if net.layer:
        raise _Refusal(
            'the net has both `layer` and `layers`: today\'s are `layer { type: "Convolution" ... }`, '
            "old ones `layers { type: CONVOLUTION ... }`; change one kind into the other by hand"
        )
    for old in net.layers:
        _upgrade_v1_layer(old, net.layer.add())
    net.ClearField("layers")


def _upgrade_v1_layer(old: Any, result: Any) -> None:
    for field, value in old.ListFields():
        name = field.name
        if name == "type":
            result.type = LAYER_TYPES[_type_name(old)]
        elif name in _V1_PARAM_SPECS:
            for index, entry in enumerate(value):
                while len(result.param) <= index:
                    result.param.add()
                setattr(result.param[index], _V1_PARAM_SPECS[name], entry)
        elif hasattr(value, "extend"):
            getattr(result, name).extend(value)
        else:
            _set(result, name, value)


# V1's parallel lists -> the field of ParamSpec
_V1_PARAM_SPECS = {
    "param": "name",
    "blob_share_mode": "share_mode",
    "blobs_lr": "lr_mult",
    "weight_decay": "decay_mult",
}


# Inputs


def _upgrade_inputs(net: Any) -> None:
    """`input` fields become an Input layer in front; alone, without sizes (in old caffemodels), they go."""
    if net.input_shape or net.input_dim:
        count = len(net.input)
        if net.input_shape:
            shapes = [list(shape.dim) for shape in net.input_shape]
            if len(shapes) < count:
                raise _Refusal(f"{count} `input` need as many `input_shape`; there are {len(shapes)}")
        else:
            if len(net.input_dim) < 4 * count:
                found = len(net.input_dim)
                raise _Refusal(f"{count} `input` need {4 * count} `input_dim` (four each); there are {found}")
            shapes = [net.input_dim[4 * index : 4 * index + 4] for index in range(count)]
        layers = list(net.layer)
        first = type(net)().layer.add(name="input", type="Input", top=net.input)
        for shape in shapes[:count]:
            first.input_param.shape.add(dim=shape)
        net.ClearField("layer")
        net.layer.extend([first, *layers])
    for name in ("input", "input_shape", "input_dim"):
        net.ClearField(name)
