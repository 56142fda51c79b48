"""Cropping: against the reference and real Caffe, its checks, and that it is a view."""

import numpy as np
import pytest
from engine_helpers import PYTHON, C, aesara, at, caffe_case, gradient, run

from deconv_legacy import reference
from deconv_legacy.engine.crop import crop
from deconv_legacy.errors import SizeError

RNG = np.random.default_rng(2)


@pytest.mark.parametrize(
    "shape, like, axis, offsets",
    [
        ((2, 3, 10, 12), (2, 5, 6, 7), 2, 3),
        ((2, 3, 10, 12), (2, 5, 6, 7), 2, (4, 5)),
        ((2, 3, 10, 12), (2, 2, 6, 12), 1, (1, 0, 0)),
        ((4, 5), (3, 5), 0, (1, 0)),
        ((2, 3, 5, 6, 7), (9, 9, 5, 1, 3), -3, (0, 5, 2)),
    ],
)
def test_crop(shape, like, axis, offsets):
    x = RNG.standard_normal(shape)
    first = axis % len(shape)
    g = RNG.standard_normal((*shape[:first], *like[first:]))

    def build(x, g, sizes):
        y = crop(x, sizes, axis, offsets)
        gx = gradient(y, x, g)
        return [y, gx, gradient(gx, g, x), aesara.gradient.Rop(y, x, x)]

    y, gx, again, tangent = run("python", build, x, g, np.array(like[first:]))
    np.testing.assert_array_equal(y, reference.crop(x, like, offsets, axis))
    np.testing.assert_array_equal(gx, reference.crop_grad(g, shape, offsets, axis))
    np.testing.assert_array_equal(again, y)
    np.testing.assert_array_equal(tangent, y)


@pytest.mark.parametrize("name, offset", [("crop_default", 0), ("crop_axis2_offset1", 3)])
def test_real_caffe(name, offset):
    arrays, _ = caffe_case(name)

    def build(x, like, g):
        y = crop(x, [like.shape[2], like.shape[3]], 2, offset)
        return [y, gradient(y, x, g)]

    y, gx = run("python", build, arrays["in/data"], arrays["in/ref"], arrays["top_diff/out"])
    np.testing.assert_array_equal(y, arrays["out/out"])
    np.testing.assert_array_equal(gx, arrays["in_diff/data"])


@pytest.mark.parametrize("mode", [PYTHON, C])
def test_a_crop_is_a_view(mode):
    x = at.tensor3()
    f = aesara.function([aesara.In(x, borrow=True)], aesara.Out(crop(x, (2,), offsets=1), borrow=True), mode=mode)
    array = np.arange(24, dtype=x.dtype).reshape(2, 3, 4)
    assert np.shares_memory(f(array), array)


def test_symbolic_offsets():
    """A centred crop, as in U-Net, of sizes known when it runs."""
    x, like = RNG.standard_normal((1, 2, 9, 8)), np.zeros((1, 2, 5, 5))

    def build(x, like):
        sizes = like.shape[2:]
        margins = x.shape[2:] - sizes
        return [crop(x, sizes, offsets=margins // 2), crop(x, (5, 5), offsets=[1, margins[1] // 2])]

    centred, mixed = run("python", build, x, like)
    np.testing.assert_array_equal(centred, x[:, :, 2:7, 1:6])
    np.testing.assert_array_equal(mixed, x[:, :, 1:6, 1:6])


def test_shapes_are_known_without_cropping():
    x = at.tensor("float32", shape=(None, 3, None, 9))
    y = crop(x, (4, 5), offsets=(2, 1))
    assert y.type.shape == (None, 3, 4, 5)
    assert crop(x, at.lvector()).type.shape == (None, 3, None, None)
    f = aesara.function([x], y.shape)
    assert tuple(f(np.zeros((2, 3, 4, 9), "float32"))) == (2, 3, 4, 5)
    assert len(aesara.grad(y.sum(), x).type.shape) == 4


@pytest.mark.parametrize(
    "sizes, offsets, words",
    [
        ((4, 9), (0, 1), "axis 3: a crop to 9 cells from offset 1 ends at 10, beyond the 9 there are"),
        ((9, 4), 0, r"axis 2: .* beyond the 8 there are"),
        ((4, 4), (0, -1), "offsets"),
        ((4,), 0, r"`sizes` .* has 1 values"),
        ((4, 4), (1, 2, 3), r"`offsets` .* has 3 values"),
    ],
)
def test_crops_that_do_not_lie_inside_are_refused_early(sizes, offsets, words):
    with pytest.raises(SizeError, match=words):
        crop(at.tensor("float32", shape=(None, 3, 8, 9)), sizes, offsets=offsets)


def test_crops_that_do_not_lie_inside_are_refused_late():
    x = np.zeros((1, 2, 8, 9))
    with pytest.raises(SizeError, match="axis 3: a crop to 9 cells from offset 1 ends at 10"):
        run("python", lambda x: crop(x, (4, 9), offsets=1), x)
    with pytest.raises(SizeError, match=r"`offset` \(=-2\)"):
        run("python", lambda x, o: crop(x, (4, 5), offsets=o), x, np.array([1, -2]))
    with pytest.raises(SizeError, match="axis 4 of an input of 4 axes"):
        crop(at.tensor4(), (), 4)
