"""Unshared convolution: the forward by loops, the gradients as its transposes; Aesara's abstract Ops become it."""

import numpy as np
import pytest
from agreement import assert_close

from deconv_legacy import geometry
from deconv_legacy.engine import aesara
from deconv_legacy.engine.unshared import UnsharedConv, UnsharedConvInputGradient, UnsharedConvWeightGradient
from deconv_legacy.errors import SizeError

at = aesara.tensor
OPTIONS = {
    "plain": ((0, 0), (1, 1), (1, 1), 1, False),
    "all": (((1, 0), (0, 2)), (2, 1), (1, 2), 2, False),
    "flip, full": ("full", (3, 2), (2, 1), 3, True),
}


def arrays(border_mode, stride, dilation, groups, seed=0):
    rng = np.random.default_rng(seed)
    size, kernel = (7, 6), (3, 2)
    modes = geometry.normalize_border_mode(border_mode, 2)
    out = tuple(map(geometry.conv_output_size, size, kernel, stride, modes, dilation))
    x = rng.standard_normal((2, 2 * groups, *size))
    w = rng.standard_normal((3 * groups, *out, 2, *kernel))
    return x, w, rng.standard_normal((2, 3 * groups, *out))


def by_loops(x, w, border_mode, stride, dilation, groups, flip):
    pads = geometry.resolve_all_pads(border_mode, x.shape[2:], w.shape[4:], stride, dilation)
    x = np.pad(x, ((0, 0), (0, 0), *pads))
    y = np.zeros((x.shape[0], *w.shape[:3]))
    for m, i, j, c, a, b in np.ndindex(*w.shape):
        row, column = (w.shape[4] - 1 - a, w.shape[5] - 1 - b) if flip else (a, b)
        channel = m // (w.shape[0] // groups) * w.shape[3] + c
        cells = x[:, channel, i * stride[0] + row * dilation[0], j * stride[1] + column * dilation[1]]
        y[:, m, i, j] += w[m, i, j, c, a, b] * cells
    return y


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_forward_by_loops_and_gradients_as_transposes(options):
    x, w, g = arrays(*options[:4])
    arguments = (2, *options)
    y = by_loops(x, w, *options)
    assert_close(UnsharedConv(*arguments)(x, w).eval(), y)
    back = UnsharedConvInputGradient(*arguments)(w, g, x.shape[2:]).eval()
    filters = UnsharedConvWeightGradient(*arguments)(x, g, w.shape[4:]).eval()
    assert back.shape == x.shape and filters.shape == w.shape
    np.testing.assert_allclose([(back * x).sum(), (filters * w).sum()], (y * g).sum(), rtol=1e-12)


def test_aesaras_abstract_convolution_and_its_gradients_become_these_ops():
    from aesara.tensor.nnet.abstract_conv import AbstractConv2d

    x, w, g = arrays(*OPTIONS["all"][:4])
    x_, w_ = at.tensor4(dtype="float64"), at.TensorType("float64", (None,) * 6)()
    options = dict(border_mode=((1, 0), (0, 2)), subsample=(2, 1), filter_dilation=(1, 2), num_groups=2)
    y = AbstractConv2d(**options, unshared=True, filter_flip=False)(x_, w_)
    outputs = [y, *aesara.grad((y * g).sum(), [x_, w_])]
    function = aesara.function([x_, w_], outputs, mode="FAST_COMPILE")
    kinds = {type(node.op) for node in function.maker.fgraph.apply_nodes}
    assert {UnsharedConv, UnsharedConvInputGradient, UnsharedConvWeightGradient} <= kinds
    value, dx, dw = function(x, w)
    assert_close(value, by_loops(x, w, *OPTIONS["all"]))
    np.testing.assert_allclose([(dx * x).sum(), (dw * w).sum()], (value * g).sum(), rtol=1e-12)


def test_filters_for_another_number_of_places_are_refused():
    x, w, _ = arrays(*OPTIONS["plain"][:4])
    with pytest.raises(SizeError, match="filters for 4 places on axis 1, but the output has 5"):
        UnsharedConv(2)(x, w[:, :4])
    x_, w_ = at.tensor4(dtype="float64"), at.TensorType("float64", (None,) * 6)()
    with pytest.raises(SizeError, match="filters for 4 places on axis 1, but the output has 5"):
        UnsharedConv(2)(x_, w_).eval({x_: x, w_: w[:, :4]})
