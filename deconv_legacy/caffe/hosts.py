"""The layers that run beside compiled code, step by step in Python: Input, DummyData, and those written in Python.
`host_data` adds those that read files."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np

from deconv_legacy import fillers
from deconv_legacy.caffe import _state
from deconv_legacy.caffe.layer import Layer
from deconv_legacy.caffe.types.data import dummy_shapes
from deconv_legacy.errors import MismatchError

__all__ = ["HOSTS", "make_host"]


class _Input(Layer):
    type = "Input"

    def setup(self, bottom, top):
        spec = self.layer_param
        shapes = [tuple(shape.dim) for shape in spec.input_param.shape]
        if len(shapes) not in (0, 1, len(top)):
            raise MismatchError(f"layer {spec.name!r} (Input): {len(shapes)} shapes for {len(top)} tops")
        for blob, shape in zip(top, shapes * len(top) if len(shapes) == 1 else shapes, strict=False):
            blob.reshape(*shape)

    def reshape(self, bottom, top):
        pass

    forward = reshape


class _DummyData(Layer):
    type = "DummyData"

    def setup(self, bottom, top):
        spec, self.rng = self.layer_param, np.random.default_rng(_state.seed())
        given = [{f.name: v for f, v in filler.ListFields()} for filler in spec.dummy_data_param.data_filler] or [{}]
        self.fillers = given * len(top) if len(given) == 1 else given
        for blob, shape in zip(top, dummy_shapes(spec), strict=True):
            blob.reshape(*shape)
        self._fill(top, constants=True)

    def _fill(self, top, constants):
        for blob, fields in zip(top, self.fillers, strict=True):
            kind = fields.get("type", "constant")
            if constants or kind != "constant":
                rest = {name: value for name, value in fields.items() if name != "type"}
                blob.data[...] = fillers.fill(blob.dims, kind, self.rng, np.float32, **rest)

    def reshape(self, bottom, top):
        pass

    def forward(self, bottom, top):
        self._fill(top, constants=False)


_OWN_MODULES = ("voc_layers", "nyud_layers", "siftflow_layers", "pascalcontext_layers")
"""Modules of the FCN repository whose layers are in `data_layers`, for where they are not on sys.path."""


def _python(spec: Any) -> Layer:
    param = spec.python_param
    try:
        module = importlib.import_module(param.module)
    except ModuleNotFoundError as error:
        if error.name == "caffe":
            raise MismatchError(
                f"layer {spec.name!r} (Python): module {param.module!r} imports caffe, which nothing here is called: "
                "deconv_legacy.caffe.install() before, or `deconv-legacy run`, makes it mean this package"
            ) from None
        if error.name != param.module:
            raise
        if param.module not in _OWN_MODULES:
            raise MismatchError(
                f"layer {spec.name!r} (Python): there is no module {param.module!r}; it must lie on sys.path"
            ) from None
        module = importlib.import_module("deconv_legacy.caffe.data_layers")
    cls = getattr(module, param.layer, None)
    if cls is None:
        raise MismatchError(f"layer {spec.name!r} (Python): module {param.module!r} has no class {param.layer!r}")
    return cls(spec)


HOSTS: dict[str, Callable[[Any], Layer]] = {"Input": _Input, "DummyData": _DummyData, "Python": _python}
"""Layer types that are run step by step in Python -> what makes the layer from its LayerParameter."""


def make_host(spec: Any) -> Layer:
    layer = HOSTS[spec.type](spec)
    layer.param_str, layer.phase = spec.python_param.param_str, spec.phase
    return layer
