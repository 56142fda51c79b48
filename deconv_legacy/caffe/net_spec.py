"""Nets written in Python: ``n = NetSpec(); n.conv = L.Convolution(n.data, num_output=3); n.to_proto()``.

A call of ``layers.TYPE(bottoms..., fields...)`` gives the tops of a new layer, which are bottoms of others; a name is
what a top is assigned to. Fields go into the parameter message of the type (``num_output`` into
``convolution_param``), those that end in "param" and those of every layer into the layer.

Source: ``python/caffe/net_spec.py`` of BVLC/caffe, whose results these are, byte for byte.
"""

from __future__ import annotations

import functools
import re
from collections import Counter, OrderedDict
from typing import Any

from deconv_legacy.caffe.schema import messages

__all__ = ["Function", "Layers", "NetSpec", "Parameters", "Top", "assign_proto", "layers", "params", "to_proto"]


@functools.cache
def param_name_dict() -> dict[str, str]:
    """Layer type -> the field of LayerParameter that holds its parameters, without ``_param``.

    >>> param_name_dict()["InnerProduct"]
    'inner_product'
    """
    fields = messages().LayerParameter.DESCRIPTOR.fields
    return {
        field.message_type.name.removesuffix("Parameter"): field.name.removesuffix("_param")
        for field in fields
        if field.name.endswith("_param") and field.message_type is not None
    }


def assign_proto(proto: Any, name: str, val: Any) -> None:
    """Set a field of a message: repeated fields from a list or one value, messages from dicts.

    >>> layer = messages().LayerParameter()
    >>> assign_proto(layer, "convolution_param", dict(kernel_size=3, weight_filler=dict(type="xavier")))
    >>> list(layer.convolution_param.kernel_size), layer.convolution_param.weight_filler.type
    ([3], 'xavier')
    """
    if hasattr(getattr(proto, name), "extend") and not isinstance(val, list):
        val = [val]
    if isinstance(val, list):
        target = getattr(proto, name)
        if val and isinstance(val[0], dict):
            for item in val:
                message = target.add()
                for key, value in item.items():
                    assign_proto(message, key, value)
        else:
            target.extend(val)
    elif isinstance(val, dict):
        for key, value in val.items():
            assign_proto(getattr(proto, name), key, value)
    else:
        setattr(proto, name, val)


class Top:
    """One output of a `Function`, to be given to others."""

    def __init__(self, fn: Function, n: int):
        self.fn, self.n = fn, n

    def to_proto(self) -> Any:
        """A net of all that this top needs, named automatically."""
        return to_proto(self)

    def _to_proto(self, layers: OrderedDict[Any, Any], names: dict[Any, str], autonames: Counter[str]) -> None:
        self.fn._to_proto(layers, names, autonames)


class Function:
    """A layer to be: its type, its bottoms, its fields."""

    def __init__(self, type_name: str, inputs: Any, params: dict[str, Any]):
        self.type_name = type_name
        for index, source in enumerate(inputs):
            if not isinstance(source, Top):
                raise TypeError(f"{type_name} input {index} is not a Top (type is {type(source)})")
        self.inputs = inputs
        self.params = params
        self.ntop = self.params.pop("ntop", 1)
        self.in_place = self.params.pop("in_place", False)
        self.tops = tuple(Top(self, n) for n in range(self.ntop))

    def _get_name(self, names: dict[Any, str], autonames: Counter[str]) -> str:
        if self not in names:
            if self.ntop > 0:
                names[self] = self._get_top_name(self.tops[0], names, autonames)
            else:
                names[self] = self._automatic(autonames)
        return names[self]

    def _get_top_name(self, top: Top, names: dict[Any, str], autonames: Counter[str]) -> str:
        if top not in names:
            names[top] = self._automatic(autonames)
        return names[top]

    def _automatic(self, autonames: Counter[str]) -> str:
        autonames[self.type_name] += 1
        return self.type_name + str(autonames[self.type_name])

    def _to_proto(self, layers: OrderedDict[Any, Any], names: dict[Any, str], autonames: Counter[str]) -> None:
        # an explicit stack: deep nets would exceed Python's
        stack: list[tuple[Function, bool]] = [(self, False)]
        while stack:
            function, ready = stack.pop()
            if function in layers:
                continue
            if not ready:
                stack.append((function, True))
                stack.extend((source.fn, False) for source in reversed(function.inputs))
                continue
            layers[function] = function._layer(layers, names, autonames)

    def _layer(self, layers: OrderedDict[Any, Any], names: dict[Any, str], autonames: Counter[str]) -> Any:
        layer = messages().LayerParameter()
        layer.type = self.type_name
        layer.bottom.extend(layers[source.fn].top[source.n] for source in self.inputs)
        if self.in_place:
            layer.top.extend(layer.bottom)
        else:
            layer.top.extend(self._get_top_name(top, names, autonames) for top in self.tops)
        layer.name = self._get_name(names, autonames)
        own = param_name_dict().get(self.type_name)
        for key, value in self.params.items():
            if key.endswith("param"):
                assign_proto(layer, key, value)
                continue
            message = getattr(layer, f"{own}_param") if own else None
            assign_proto(message if message is not None and hasattr(message, key) else layer, key, value)
        return layer


class NetSpec:
    """Tops by name; ``n.conv1 = L.Convolution(...)`` or ``n["conv1/relu"] = ...``.

    >>> n = NetSpec()
    >>> n.data = layers.Input(shape=dict(dim=[1, 3, 5, 6]))
    >>> n.score = layers.Convolution(n.data, num_output=2, kernel_size=1)
    >>> [(layer.name, list(layer.bottom)) for layer in n.to_proto().layer]
    [('data', []), ('score', ['data'])]
    """

    tops: OrderedDict[str, Any]

    def __init__(self) -> None:
        super().__setattr__("tops", OrderedDict())

    def __setattr__(self, name: str, value: Any) -> None:
        self.tops[name] = value

    def __getattr__(self, name: str) -> Any:
        try:
            return self.tops[name]
        except KeyError:
            raise AttributeError(f"no top is called {name!r}; there are {', '.join(self.tops)}") from None

    def __setitem__(self, key: str, value: Any) -> None:
        self.tops[key] = value

    def __getitem__(self, item: str) -> Any:
        return self.tops[item]

    def __delattr__(self, name: str) -> None:
        del self.tops[name]

    def __delitem__(self, item: str) -> None:
        del self.tops[item]

    def to_proto(self) -> Any:
        """The NetParameter, layers in the order in which they are needed."""
        names = {top: name for name, top in self.tops.items()}
        return _net(self.tops.values(), names)


def to_proto(*tops: Any) -> Any:
    """A net of all that some tops need, every layer named after its type and number."""
    return _net(tops, {})


def _net(tops: Any, names: dict[Any, str]) -> Any:
    made: OrderedDict[Any, Any] = OrderedDict()
    autonames: Counter[str] = Counter()
    for top in tops:
        top._to_proto(made, names, autonames)
    net = messages().NetParameter()
    net.layer.extend(made.values())
    return net


class Layers:
    """``layers.TYPE(*bottoms, **fields)``: the top of a new layer, a tuple of them for ``ntop`` above 1, the
    `Function` itself for ``ntop=0``."""

    def __getattr__(self, name: str) -> Any:
        if re.fullmatch("__.*__", name):
            raise AttributeError(name)

        def make(*args: Any, **kwargs: Any) -> Any:
            fn = Function(name, args, kwargs)
            if fn.ntop == 0:
                return fn
            return fn.tops[0] if fn.ntop == 1 else fn.tops

        return make


class Parameters:
    """``params.Pooling.MAX``: values of enums, by type.

    >>> params.Pooling.AVE, params.Eltwise.SUM
    (1, 1)
    """

    def __getattr__(self, name: str) -> Any:
        if re.fullmatch("__.*__", name):
            raise AttributeError(name)
        return getattr(messages(), name + "Parameter")


layers = Layers()
params = Parameters()
