"""Hypothesis strategies of deconvolutions, legal and illegal: ``pip install hypothesis``.

from hypothesis import given
from deconv_legacy.testing.strategies import illegal_deconvolutions, legal_deconvolutions

@given(legal_deconvolutions(ndim=2))
def test_my_port(config):
    assert my_deconvolution(**config.arguments()).shape == config.output_shape
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from deconv_legacy import geometry
from deconv_legacy.errors import MissingExtraError

try:
    from hypothesis import strategies as st
except ImportError as error:  # pragma: no cover
    raise MissingExtraError("hypothesis", "test", "deconv_legacy.testing.strategies") from error

__all__ = ["Deconvolution", "illegal_deconvolutions", "legal_deconvolutions"]


@dataclass(frozen=True)
class Deconvolution:
    """A deconvolution of `input_shape` ``(N, in, *sizes)`` by filters ``(in, out / groups, *kernel)``.

    Attributes
    ----------
    padding
        (before, after) for each axis.
    output_size
        Spatial sizes of the output, one of the legal ones for each axis.
    wrong
        What is illegal about it; empty for a legal one.
    """

    input_shape: tuple[int, ...]
    filter_shape: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]
    dilation: tuple[int, ...]
    groups: int
    output_size: tuple[int, ...]
    flip: bool
    wrong: str = ""

    @property
    def output_shape(self) -> tuple[int, ...]:
        return (self.input_shape[0], self.filter_shape[1] * self.groups, *self.output_size)

    def arguments(self) -> dict[str, Any]:
        """Keywords of `deconv_legacy.layers.DeconvolutionLayer`, all but the input."""
        return {
            "filter_shape": self.filter_shape,
            "stride": self.stride,
            "padding": self.padding,
            "dilation": self.dilation,
            "groups": self.groups,
            "output_size": self.output_size,
            "filter_flip": self.flip,
        }


@st.composite
def legal_deconvolutions(
    draw: Any, ndim: int = 2, max_size: int = 5, max_channels: int = 3, symmetric: bool = False
) -> Deconvolution:
    """Deconvolutions that can be: sizes, kernels, strides, pads and dilations of their own for each axis.

    Parameters
    ----------
    symmetric
        The same pad on both sides, as most frameworks have it.
    """
    batch, groups = draw(st.integers(1, 2)), draw(st.integers(1, 2))
    inputs, outputs = (draw(st.integers(1, max_channels)) for _ in range(2))
    columns: tuple[list[Any], ...] = ([], [], [], [], [], [])
    sizes, kernel, stride, pads, dilation, output = columns
    for _ in range(ndim):
        n, k, s, d = (draw(st.integers(1, top)) for top in (max_size, 4, 3, 2))
        extent = geometry.dilated_kernel(k, d)
        # a pad of less than the window, and an output of at least one cell
        room: Any = geometry.deconv_output_size(n, k, s, 0, d)
        before = draw(st.integers(0, min(extent - 1, (room - 1) // 2)))
        after = before if symmetric else draw(st.integers(0, min(extent - 1, room - 1 - before)))
        legal = [size for size in geometry.deconv_output_sizes(n, k, s, (before, after), d) if size > 0]
        for values, value in zip(
            (sizes, kernel, stride, pads, dilation, output),
            (n, k, s, (before, after), d, draw(st.sampled_from(legal))),
            strict=True,
        ):
            values.append(value)
    return Deconvolution(
        (batch, groups * inputs, *sizes),
        (groups * inputs, outputs, *kernel),
        tuple(stride),
        tuple(pads),
        tuple(dilation),
        groups,
        tuple(output),
        draw(st.booleans()),
    )


@st.composite
def illegal_deconvolutions(draw: Any, ndim: int = 2, **options: Any) -> Deconvolution:
    """Legal ones with one thing wrong: a size that no input of these settings could come from, a stride or dilation
    below 1, a number of channels or groups that does not fit; ``wrong`` says which."""
    good = draw(legal_deconvolutions(ndim, **options))
    axis = draw(st.integers(0, ndim - 1))

    def at(values: tuple[Any, ...], value: Any) -> tuple[Any, ...]:
        return (*values[:axis], value, *values[axis + 1 :])

    kind = draw(st.sampled_from(("output size", "stride", "dilation", "channels", "groups")))
    if kind == "output size":
        n, rule = good.input_shape[2 + axis], (good.filter_shape[2 + axis], good.stride[axis], good.padding[axis])
        legal = geometry.deconv_output_sizes(n, *rule, good.dilation[axis])
        size = draw(st.integers(1, max(legal) + 4).filter(lambda size: size not in legal))
        return replace(good, output_size=at(good.output_size, size), wrong=kind)
    if kind in ("stride", "dilation"):
        changed = at(getattr(good, kind), draw(st.integers(-2, 0)))
        return replace(good, **{kind: changed}, wrong=kind)
    if kind == "channels":
        first = good.filter_shape[0] + draw(st.integers(1, 3)) * good.groups
        return replace(good, filter_shape=(first, *good.filter_shape[1:]), wrong=kind)
    groups = draw(st.integers(good.filter_shape[0] + 1, good.filter_shape[0] + 3))
    return replace(good, groups=groups, wrong=kind)
