"""Receptive fields, taps, overlap, and the deconvolution written as a convolution: against plain loops."""

import pytest
from geometry_cases import brute_pads, dilations, kernels, modes, strides, vgg
from hypothesis import assume, given
from hypothesis import strategies as st
from test_geometry_sizes import or_none

from deconv_legacy.errors import SizeError
from deconv_legacy.geometry import (
    ReceptiveField,
    Step,
    chain_sizes,
    conv_output_size,
    deconv_output_sizes,
    deconv_taps,
    equivalent_convolution,
    inputs_reaching,
    overlap_counts,
    overlap_pattern,
    overlaps_evenly,
    receptive_field,
    size_remainder,
)


def spread(step, marks, size_after):
    """Which outputs of a step each marked input reaches: input by input, where the library goes output by output.

    `marks[x]` is the set of original pixels that cell x carries.
    """
    if step.kind == "identity":
        return marks
    if step.kind == "crop":
        return marks[step.offset : step.offset + size_after]
    forward_input = size_after if step.kind == "deconv" else len(marks)
    before, _ = brute_pads(step.border_mode, forward_input, step.kernel, step.stride, step.dilation)
    result = [set() for _ in range(size_after)]
    for small in range(size_after if step.kind != "deconv" else len(marks)):
        for tap in range(step.kernel):
            large = small * step.stride + tap * step.dilation - before
            if step.kind == "deconv":
                if 0 <= large < size_after:
                    result[large] |= marks[small]
            elif 0 <= large < len(marks):
                result[small] |= marks[large]
    return result


steps_down = st.lists(st.builds(Step, st.just("conv"), kernels, strides, modes, dilations), min_size=1, max_size=3)
steps_any = st.lists(
    st.one_of(
        st.builds(
            Step, st.sampled_from(["conv", "deconv"]), st.integers(1, 5), st.integers(1, 3), modes, st.integers(1, 2)
        ),
        st.builds(Step, st.just("pool"), st.just(3), st.integers(1, 4), st.sampled_from([0, 1, (0, 2), "same"])),
        st.just(Step("crop", offset=1, output_size=3)),
        st.just(Step("identity")),
    ),
    min_size=1,
    max_size=4,
)


@given(st.integers(1, 25), steps_any)
def test_inputs_reaching_is_what_marking_every_pixel_finds(size, steps):
    sizes = or_none(chain_sizes, size, steps)
    assume(sizes is not None and max(sizes) < 100)
    marks = [{pixel} for pixel in range(size)]
    for step, after in zip(steps, sizes[1:], strict=True):
        marks = spread(step, marks, after)
    for position in range(sizes[-1]):
        assert inputs_reaching(position, steps, size) == tuple(sorted(marks[position]))
    with pytest.raises(SizeError, match="position"):
        inputs_reaching(sizes[-1], steps, size)


@given(st.integers(20, 70), steps_down)
def test_receptive_fields_are_the_ends_of_what_reaches(size, steps):
    sizes = or_none(chain_sizes, size, steps)
    assume(sizes is not None)
    field = receptive_field(steps, size)
    for position in {0, sizes[-1] // 2, sizes[-1] - 1}:
        first, last = field.span(position)
        reaching = inputs_reaching(position, steps, size)
        assert all(first <= pixel <= last for pixel in reaching)
        # A padding between layers cuts paths off; without it the ends are reached.
        if first >= 0 and last < size and all(step.border_mode in ("valid", (0, 0)) for step in steps[1:]):
            assert (reaching[0], reaching[-1]) == (first, last)


def test_what_a_score_of_fcn32s_sees():
    field = receptive_field(vgg())
    assert field == ReceptiveField(size=404, jump=32, start=-189)
    assert field.span(0) == (-189, 214)
    # So the part of the scores that is cropped away does come from data, not from the padding alone.
    reaching = inputs_reaching(0, [*vgg(), Step("deconv", 64, 32)], 224)
    assert (reaching[0], reaching[-1]) == (0, 214)


def test_a_receptive_field_needs_a_path_down_and_known_pads():
    with pytest.raises(SizeError, match=r"up \(deconv\): .*inputs_reaching"):
        receptive_field([Step("deconv", 4, 2, name="up")])
    with pytest.raises(SizeError, match="depend on the size"):
        receptive_field([Step("conv", 3, 2, "same")])
    assert receptive_field([Step("conv", 3, 2, "same")] * 2, 8).start == 0
    assert receptive_field([Step("conv", 3, 2, "same")] * 2, 9).start == -3
    with pytest.raises(SizeError, match=r"score \(crop\): the size before this step"):
        inputs_reaching(0, [Step("crop", offset=1), Step("crop", offset=1, output_size=3, name="score")], 9)


@st.composite
def deconvolutions(draw):
    """n, kernel, stride, mode, dilation, output size: any legal deconvolution of one axis."""
    n, kernel, stride = draw(st.integers(1, 6)), draw(kernels), draw(strides)
    mode, dilation = draw(modes), draw(dilations)
    sizes = deconv_output_sizes(n, kernel, stride, mode, dilation)
    assume(sizes)
    return n, kernel, stride, mode, dilation, draw(st.sampled_from(list(sizes)))


def scatter(n, kernel, stride, mode, dilation, size):
    """For every output cell the pairs (input, tap) that fall on it, found by laying down every tap."""
    before, _ = brute_pads(mode, size, kernel, stride, dilation)
    cells = [[] for _ in range(size)]
    for source in range(n):
        for tap in range(kernel):
            position = source * stride + tap * dilation - before
            if 0 <= position < size:
                cells[position].append((source, tap))
    return cells


@given(deconvolutions())
def test_taps_and_overlap_counts(case):
    cells = scatter(*case)
    *arguments, size = case
    assert [list(deconv_taps(p, *arguments, output_size=size)) for p in range(size)] == cells
    assert overlap_counts(*arguments, output_size=size) == tuple(map(len, cells))
    with pytest.raises(SizeError, match="position"):
        deconv_taps(size, *arguments, output_size=size)


@given(kernels, strides, dilations, st.integers(0, 5))
def test_the_pattern_is_what_repeats_away_from_the_border(kernel, stride, dilation, pad):
    n = 2 * kernel * dilation + 2 * pad + 3
    counts = overlap_counts(n, kernel, stride, pad, dilation)
    pattern = overlap_pattern(kernel, stride, dilation)
    edge = kernel * dilation
    inside = range(edge, len(counts) - edge)
    assert len(inside) >= stride
    for position in inside:
        assert counts[position] == pattern[(position + pad) % stride]
    assert sum(pattern) == kernel
    if dilation == 1:
        assert overlaps_evenly(kernel, stride) == (kernel % stride == 0)


def test_checkerboards():
    assert overlap_counts(4, 3, 2, 1, output_size=8) == (1, 2, 1, 2, 1, 2, 1, 1)
    assert overlaps_evenly(64, 32) and not overlaps_evenly(63, 32)
    assert overlap_pattern(2, 5) == (1, 1, 0, 0, 0)


@given(deconvolutions())
def test_a_deconvolution_is_a_convolution_of_the_stretched_input(case):
    n, kernel, stride, mode, dilation, size = case
    x = [3 * cell + 2 for cell in range(n)]
    w = [5 * tap * tap + 1 for tap in range(kernel)]
    expected = [sum(x[source] * w[tap] for source, tap in cell) for cell in scatter(*case)]

    same = equivalent_convolution(n, kernel, stride, mode, dilation, size)
    stretched = [0] * same.stretched
    stretched[::stride] = x
    padded = stretched + [0] * same.extra
    before, after = same.pads
    padded = [0] * before + padded if before >= 0 else padded[-before:]
    padded = padded + [0] * after if after >= 0 else padded[: len(padded) + after]
    rotated = w[::-1]
    result = [
        sum(rotated[tap] * padded[first + tap * dilation] for tap in range(kernel))
        for first in range(len(padded) - (kernel - 1) * dilation)
    ]
    assert result == expected
    assert same.output_size == size


@given(st.integers(1, 40), kernels, strides, st.tuples(st.integers(0, 6), st.integers(0, 6)), dilations)
def test_relations_6_and_14(size, kernel, stride, pads, dilation):
    n = or_none(conv_output_size, size, kernel, stride, pads, dilation)
    assume(n is not None)
    k = (kernel - 1) * dilation + 1
    a = size_remainder(size, kernel, stride, pads, dilation)
    assert a == (size + sum(pads) - k) % stride
    # Relation 14, with asymmetric pads: i = s(n-1) + a + k - 2p; and its pads p' = k - p - 1.
    assert size == stride * (n - 1) + a + k - sum(pads)
    back = equivalent_convolution(n, kernel, stride, pads, dilation, size)
    assert (back.extra, back.pads) == (a, (k - pads[0] - 1, k - pads[1] - 1))
    assert back.stretched + back.extra + sum(back.pads) - k + 1 == size
