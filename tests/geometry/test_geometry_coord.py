"""Coordinate maps, crop offsets, the least pad."""

from dataclasses import replace
from fractions import Fraction

import pytest
from geometry_cases import alexnet, dilations, kernels, strides, vgg
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from test_geometry_sizes import or_none

from deconv_legacy.errors import SizeError
from deconv_legacy.geometry import (
    CoordMap,
    Step,
    chain_sizes,
    coord_map,
    crop_offset,
    deconv_output_sizes,
    least_pad,
    receptive_field,
    size_remainder,
)

fractions = st.fractions(-20, 20, max_denominator=16)
maps = st.builds(CoordMap, st.fractions(Fraction(1, 16), 16, max_denominator=16), fractions)

UP2, UP4 = Step("deconv", 4, 2, name="upscore2"), Step("deconv", 4, 2, name="upscore_pool4")
FCN = {
    # name: (path to the cropped blob, path to the reference, offset)
    "fcn32s score": ([*vgg(), Step("deconv", 64, 32)], [], 19),
    "fcn16s score_pool4c": (vgg(until=4), [*vgg(), UP2], 5),
    "fcn16s score": ([*vgg(), UP2, Step("deconv", 32, 16)], [], 27),
    "fcn8s score_pool3c": (vgg(until=3), [*vgg(), UP2, UP4], 9),
    "fcn8s score": ([*vgg(), UP2, UP4, Step("deconv", 16, 8)], [], 31),
    "alexnet score": ([*alexnet(), Step("deconv", 63, 32)], [], 18),
}


@given(maps, maps, maps, fractions)
def test_maps_form_a_group(first, second, third, x):
    assert (first @ second)(x) == first(second(x))
    assert (first @ second) @ third == first @ (second @ third)
    assert first @ first.inverse() == CoordMap() == first.inverse() @ first
    assert (first @ second).inverse() == second.inverse() @ first.inverse()


@pytest.mark.parametrize("scale", [0, -1])
def test_a_map_neither_collapses_nor_mirrors(scale):
    with pytest.raises(SizeError, match="must be positive"):
        CoordMap(scale)


@given(kernels, strides, st.tuples(st.integers(0, 6), st.integers(0, 6)), dilations, st.integers(-5, 9))
def test_a_map_takes_the_middle_of_the_window_to_its_output(kernel, stride, pads, dilation, position):
    middle = [position * stride - pads[0] + tap * dilation for tap in range(kernel)]
    forward = coord_map(Step("conv", kernel, stride, pads, dilation))
    assert forward(Fraction(middle[0] + middle[-1], 2)) == position
    if dilation == 1 and max(pads) < kernel:
        assert coord_map(Step("pool", kernel, stride, pads)) == forward
    backward = coord_map(Step("deconv", kernel, stride, pads, dilation))
    assert backward(position) == Fraction(middle[0] + middle[-1], 2)
    assert backward == forward.inverse()


def test_crops_and_cellwise_layers():
    assert coord_map([Step("crop", offset=3), Step("identity"), Step("crop", offset=4)]) == CoordMap(1, -7)
    # A crop of a crop: what the first has taken away, the second need not.
    path = [Step("conv", 3, 1, 20), Step("crop", offset=5)]
    assert crop_offset(path[:1]) == crop_offset(path) + 5


def test_padding_a_convolution_adds_to_the_offset_and_padding_a_deconvolution_subtracts():
    def offset(pad, deconv_pad):
        return crop_offset([Step("conv", 3, 1, 30 + pad), Step("pool", 2, 2), Step("deconv", 4, 2, deconv_pad)])

    assert offset(0, 0) == 30
    assert offset(7, 0) == 37
    assert offset(0, 7) == 23
    assert offset(7, 7) == 30


@pytest.mark.parametrize("name", FCN)
def test_offsets_of_fcn(name):
    source, target, expected = FCN[name]
    assert crop_offset(source, target) == expected
    assert crop_offset(coord_map(source), coord_map(target)) == expected


def test_the_inner_crop_of_fcn16s_works_inside_the_path_too():
    # The outer offset does not care on which of the two summed branches one walks back.
    inner = [*vgg(until=4), Step("crop", offset=5), Step("deconv", 32, 16)]
    assert crop_offset(inner) == 27


@pytest.mark.parametrize(("side", "expected"), [(1, 34), (2, 35), (3, 36), (4, 38), (5, 42)])
def test_offsets_of_hed(side, expected):
    trunk = vgg(pad=35, until=side)[:-1]
    factor = 2 ** (side - 1)
    up = [Step("deconv", 2 * factor, factor)] if side > 1 else []
    assert crop_offset([*trunk, Step("conv"), *up]) == expected


def test_what_cannot_be_cropped_says_why():
    names = dict(source_name="upscore", target_name="data", axis=2)
    with pytest.raises(SizeError, match="one cell in upscore is 32 cells of data") as caught:
        crop_offset(vgg(), **names)
    assert caught.value.axis == 2
    with pytest.raises(SizeError, match="offset would be 37/2, so no cell"):
        crop_offset([*vgg(), Step("deconv", 63, 32)], **names)
    with pytest.raises(SizeError, match="upscore begins 81 cells inside data"):
        crop_offset([*vgg(pad=0), Step("deconv", 64, 32)], **names)


def test_pads_that_depend_on_the_size_need_the_size():
    same = Step("conv", 3, 2, "same", name="encode")
    with pytest.raises(SizeError, match=r"encode \(conv\): the pads of 'same' depend on the size"):
        coord_map(same)
    assert coord_map([same, same], size=8) != coord_map([same, same], size=9)
    assert coord_map(Step("conv", 3, 1, "same")) == CoordMap(1, 0)
    # A deconvolution's pads come from its output size: asking 7 or 8 of 4 cells shifts the result.
    seven, eight = (coord_map(Step("deconv", 3, 2, "same", output_size=size), size=4) for size in (7, 8))
    assert seven.shift == eight.shift - 1


@st.composite
def mirrored_paths(draw):
    """A path of convolutions and poolings, and deconvolutions whose strides undo theirs; pads symmetric."""
    down = [
        Step(
            draw(st.sampled_from(["conv", "pool"])),
            draw(st.integers(2, 5)),
            draw(st.integers(1, 3)),
            draw(st.integers(0, 1)),
        )
        for _ in range(draw(st.integers(1, 3)))
    ]
    down[0] = replace(down[0], kind="conv", border_mode=draw(st.integers(10, 20)))
    up = [Step("deconv", draw(st.integers(1, 6)), step.stride, draw(st.integers(0, 1))) for step in reversed(down)]
    return down, up


@given(mirrored_paths(), st.integers(4, 8))
def test_a_path_that_loses_no_cells_is_cropped_in_the_middle(path, n):
    # Without remainders the whole path is its own mirror image, so as much is left over behind as before.
    down, up = path
    size = n
    for step in reversed(down):
        sizes = deconv_output_sizes(size, step.kernel, step.stride, step.border_mode)
        assume(sizes)
        size = sizes[0]
        assume(size_remainder(size, step.kernel, step.stride, step.border_mode) == 0)
    sizes = or_none(chain_sizes, size, down + up)
    assume(sizes is not None)
    twice = sizes[-1] - size
    if twice % 2 or twice < 0:
        with pytest.raises(SizeError):
            crop_offset(down + up)
    else:
        assert crop_offset(down + up) == twice // 2


def crop_fits(source, target, offset, sizes):
    """Whether the crop fits for all of `sizes`, by walking both paths."""
    for size in sizes:
        ends = [or_none(chain_sizes, size, path) for path in (source, target)]
        if None in ends or ends[0][-1] < offset + ends[1][-1]:
            return False
    return True


@pytest.mark.parametrize("name", FCN)
def test_the_least_pad_of_fcn(name):
    source, target, _ = FCN[name]
    least = least_pad(source, target)
    assert least == (99 if name.startswith("alexnet") else 97)
    for pad, fits in ((least - 1, False), (least, True), (100, True)):
        padded = [[replace(path[0], border_mode=pad), *path[1:]] if path else [] for path in (source, target)]
        assert crop_fits(*padded, crop_offset(*padded), range(1, 130)) is fits


@settings(max_examples=40)
@given(mirrored_paths())
def test_the_least_pad_is_the_least(path):
    down, up = path
    source = down + up
    least = or_none(least_pad, source)
    assume(least is not None)
    for pad in range(least + 1):
        padded = [replace(source[0], border_mode=pad), *source[1:]]
        offset = or_none(crop_offset, padded)
        fits = offset is not None and crop_fits(padded, [], offset, range(1, 60))
        assert fits is (pad == least)


def test_where_no_pad_helps():
    with pytest.raises(SizeError, match="begin with the convolution"):
        least_pad([Step("pool", 2, 2), Step("deconv", 2, 2)])
    with pytest.raises(SizeError, match="both paths must begin"):
        least_pad([Step("conv", 3)], [Step("conv", 5)])
    with pytest.raises(SizeError, match="not periodic"):
        least_pad([Step("conv", 3), Step("crop", offset=1, output_size=4)])
    with pytest.raises(SizeError, match="one cell in the path is 2 cells"):
        least_pad([Step("conv", 3, 2)])
    # Both paths pass the padded convolution: it can move neither against the other.
    first = Step("conv", 3, name="conv1")
    with pytest.raises(SizeError, match=r"no pad of conv1 \(conv\) makes this crop fit"):
        least_pad([first, Step("conv", 3)], [first])
    with pytest.raises(SizeError, match=r"no pad of conv1 \(conv\) makes this crop fit"):
        least_pad([first, Step("pool", 2, 2), Step("deconv", 2, 2)], [first])
    assert least_pad([first], [first, Step("conv", 3, name="second")]) == 2


@given(st.lists(st.tuples(kernels, strides, st.integers(0, 4), dilations), max_size=4), st.integers(-3, 9))
def test_the_middle_of_a_receptive_field_is_the_inverse_map(layers, position):
    steps = [Step("conv", *layer) for layer in layers] + [Step("crop", offset=2)]
    assert receptive_field(steps).centre(position) == coord_map(steps).inverse()(position)
