"""Arguments: what is accepted, what is refused, and how the refusal reads."""

import doctest
import importlib
import pkgutil

import numpy as np
import pytest

from deconv_legacy import geometry
from deconv_legacy.errors import SizeError
from deconv_legacy.geometry import (
    as_int,
    axis_border,
    conv_output_shape,
    conv_output_size,
    deconv_output_shape,
    deconv_output_sizes,
    normalize_border_mode,
    normalize_pads,
    per_axis,
    pool_output_size,
)


@pytest.mark.parametrize(
    "value",
    [(3, 5), [3, 5], np.array([3, 5]), (np.int64(3), np.uint8(5)), iter([3, 5])],
    ids=lambda value: type(value).__name__,
)
def test_every_kind_of_integer_sequence_becomes_plain_ints(value):
    result = per_axis(value, 2, "kernel", 1)
    assert result == (3, 5)
    assert all(type(number) is int for number in result)


@pytest.mark.parametrize("value", [3, np.int64(3), np.array(3), np.uint8(3)], ids=repr)
def test_one_integer_stands_for_every_axis(value):
    assert per_axis(value, 3, "kernel", 1) == (3, 3, 3)


@pytest.mark.parametrize(
    "value",
    [0, -1, 2.0, True, np.True_, np.float32(2), "2", "22", None, (2, 0), (2, True), (2, 1.0), (2,), (2, 2, 2), ()],
)
def test_what_is_no_stride_is_refused_by_name_and_value(value):
    with pytest.raises(SizeError) as caught:
        per_axis(value, 2, "stride", 1)
    assert "`stride`" in str(caught.value) and repr(value) in str(caught.value)


def test_the_error_of_one_axis_knows_its_axis():
    with pytest.raises(SizeError) as caught:
        per_axis((2, 2, 0), 3, "stride", 1)
    assert caught.value.axis == 2
    assert "at least 1" in str(caught.value)


@pytest.mark.parametrize("name", ["kernel", "stride", "dilation"])
@pytest.mark.parametrize("bad", [0, -2, 1.5, True])
def test_no_size_is_computed_from_an_illegal_argument(name, bad):
    arguments = {"kernel": 3, "stride": 2, "dilation": 1} | {name: bad}
    for question in (lambda **a: conv_output_size(9, **a), lambda **a: deconv_output_sizes(9, **a)):
        with pytest.raises(SizeError, match=name):
            question(**arguments)
    with pytest.raises(SizeError, match=name):
        conv_output_shape((9, 9), **arguments)
    with pytest.raises(SizeError, match=name):
        deconv_output_shape((None, None), **arguments)


@pytest.mark.parametrize("size", [0, -3, 2.5, True, "7"])
def test_a_size_is_a_positive_integer_or_none(size):
    with pytest.raises(SizeError, match="size"):
        conv_output_size(size, 3)
    with pytest.raises(SizeError, match="size"):
        pool_output_size(size, 2)
    with pytest.raises(SizeError, match="size"):
        deconv_output_sizes(size, 3)


def test_pads_in_all_their_forms():
    assert normalize_pads(2, 3) == ((2, 2),) * 3
    assert normalize_pads((1, 2), 2) == ((1, 1), (2, 2))
    assert normalize_pads(((0, 1), (2, 3)), 2) == ((0, 1), (2, 3))
    assert normalize_pads((0, (2, 3), 1), 3) == ((0, 0), (2, 3), (1, 1))
    assert normalize_pads(np.array([[0, 1], [2, 3]]), 2) == ((0, 1), (2, 3))
    assert normalize_border_mode(("half", 1), 2) == ("half", (1, 1))
    assert axis_border([np.int64(1), 2]) == (1, 2)


@pytest.mark.parametrize("pads", [-1, (1, -1), (1, 2, 3), ((1, 2, 3), 1), 1.0, "same", ("same", 1), None])
def test_illegal_pads(pads):
    with pytest.raises(SizeError, match="padding"):
        normalize_pads(pads, 2)


@pytest.mark.parametrize("mode", ["SAME", "symmetric", -1, (1, 2, 3), None, ((1, 2), (3, 4))])
def test_illegal_border_modes_of_one_axis(mode):
    with pytest.raises(SizeError, match="border_mode"):
        axis_border(mode)


def test_as_int_without_a_limit_takes_negative_numbers():
    assert as_int(np.int8(-3), "shift") == -3


def test_axes_must_be_as_many_as_the_sizes():
    with pytest.raises(SizeError, match="axes"):
        conv_output_shape((9, 8), 3, axes=(1, 2, 3))


def test_everything_public_is_listed_and_exists():
    assert sorted(geometry.__all__) == sorted(set(geometry.__all__))
    assert all(hasattr(geometry, name) for name in geometry.__all__)


@pytest.mark.parametrize("module", sorted(info.name for info in pkgutil.iter_modules(geometry.__path__)))
def test_the_examples_of_the_documentation_run(module):
    result = doctest.testmod(importlib.import_module(f"deconv_legacy.geometry.{module}"))
    assert result.attempted and not result.failed
