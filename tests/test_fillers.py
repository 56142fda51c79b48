"""Initial weights: exact values of the bilinear kinds, moments of the random ones, Caffe's fan rules."""

import doctest
import math

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from deconv_legacy import fillers, reference
from deconv_legacy.errors import MismatchError, SizeError

SHAPE = (40, 30, 5, 7)
RANDOM = {
    "uniform": lambda **k: fillers.uniform(SHAPE, **k),
    "gaussian": lambda **k: fillers.gaussian(SHAPE, sparse=20, **k),
    "positive_unitball": lambda **k: fillers.positive_unitball(SHAPE, **k),
    "xavier": lambda **k: fillers.xavier(SHAPE, **k),
    "msra": lambda **k: fillers.msra(SHAPE, **k),
    "glorot_normal": lambda **k: fillers.glorot_normal(SHAPE, **k),
    "glorot_uniform": lambda **k: fillers.glorot_uniform(SHAPE, **k),
    "he_normal": lambda **k: fillers.he_normal(SHAPE, **k),
    "he_uniform": lambda **k: fillers.he_uniform(SHAPE, **k),
    "icnr": lambda **k: fillers.icnr((40, 30, 10, 21), stride=(2, 3), **k),
}


def surgery_filter(size):
    """FCN surgery's formula: a tent over the distance from the centre."""
    factor = (size + 1) // 2
    center = factor - 1 if size % 2 == 1 else factor - 0.5
    rows, columns = np.ogrid[:size, :size]
    return (1 - abs(rows - center) / factor) * (1 - abs(columns - center) / factor)


@pytest.mark.parametrize("k", [2, 3, 4, 5, 6, 7, 8, 16, 64])
def test_bilinear_is_the_filter_of_surgery(k):
    weights = fillers.bilinear((2, 3, k, k), dtype="float64")
    assert_allclose(weights, np.broadcast_to(surgery_filter(k), (2, 3, k, k)), atol=1e-14)
    f = math.ceil(k / 2)
    copied = 1 - np.abs(np.arange(k) / f - (2 * f - 1 - f % 2) / (2 * f))  # widely copied, often wrong
    assert np.allclose(np.outer(copied, copied), weights[0, 0]) == (k not in (2, 3, 6, 7))


def test_bilinear_kinds():
    tent, other = surgery_filter(4), surgery_filter(7)
    tent = np.outer(tent[:, 1] / tent[1, 1] * 0.75, other[3])  # rows of kernel 4, columns of kernel 7
    shape = (3, 3, 4, 7)
    every, diagonal = (fillers.bilinear(shape, kind=kind) for kind in ("every_pair", "diagonal"))
    grouped = fillers.bilinear((3, 1, 4, 7), kind="grouped")
    for i, j in np.ndindex(3, 3):
        assert_allclose(every[i, j], tent, rtol=1e-6)
        assert_allclose(diagonal[i, j], tent * (i == j), rtol=1e-6)
    assert_allclose(grouped[:, 0], every[:, 0])
    assert every.dtype == np.float32
    # Dense diagonal and grouped are one operation.
    x = np.random.default_rng(1).standard_normal((2, 3, 5, 4))
    dense = reference.conv_input_grad(diagonal, x, (12, 19), (2, 4))
    assert_allclose(reference.conv_input_grad(grouped, x, (12, 19), (2, 4), groups=3), dense, atol=1e-12)


def test_bilinear_refuses_shapes_of_another_kind():
    with pytest.raises(SizeError, match="as many outputs as inputs"):
        fillers.bilinear((2, 3, 4, 4), kind="diagonal")
    with pytest.raises(SizeError, match=r"shape\[1\] == 1"):
        fillers.bilinear((3, 3, 4, 4), kind="grouped")
    with pytest.raises(MismatchError, match="'dense'"):
        fillers.bilinear((3, 3, 4, 4), kind="dense")


@pytest.mark.parametrize("factor", [2, 3, 4, 5])
def test_bilinear_enlarges_as_interpolation_does(factor):
    x = np.random.default_rng(2).standard_normal((1, 2, 4, 5))
    k, pad, size = 2 * factor - factor % 2, math.ceil((factor - 1) / 2), (4 * factor, 5 * factor)
    weights = fillers.bilinear((2, 2, k, k), dtype="float64", kind="diagonal")
    got = reference.conv_input_grad(weights, x, size, factor, pad)
    inner = (..., slice(factor // 2, -(factor // 2)), slice(factor // 2, -(factor // 2)))
    assert_allclose(got[inner], reference.linear_resize(x, size)[inner], atol=1e-12)


@pytest.mark.parametrize("name", RANDOM)
def test_seed_and_generator(name):
    make = RANDOM[name]
    a = make(rng=5)
    assert a.dtype == np.float32
    assert_array_equal(a, make(rng=np.random.default_rng(5)))
    assert not np.array_equal(a, make(rng=6))
    generator = np.random.default_rng(5)
    make(rng=generator)
    assert not np.array_equal(a, make(rng=generator))  # the generator has moved on
    assert make(rng=5, dtype="float64").dtype == np.float64
    assert_allclose(make(rng=5, dtype=np.float64).std(), a.std(), rtol=0.05)


@pytest.mark.parametrize(
    ("weights", "mean", "std"),
    [
        (fillers.uniform(SHAPE, 1, min=-2, max=5), 1.5, 7 / math.sqrt(12)),
        (fillers.gaussian(SHAPE, 1, mean=3, std=0.2), 3, 0.2),
        (fillers.xavier(SHAPE, 1), 0, math.sqrt(1 / (30 * 35))),
        (fillers.xavier(SHAPE, 1, variance_norm="FAN_OUT"), 0, math.sqrt(1 / (40 * 35))),
        (fillers.xavier(SHAPE, 1, variance_norm="AVERAGE"), 0, math.sqrt(1 / (35 * 35))),
        (fillers.msra(SHAPE, 1), 0, math.sqrt(2 / (30 * 35))),
        (fillers.msra(SHAPE, 1, variance_norm="FAN_OUT"), 0, math.sqrt(2 / (40 * 35))),
        (fillers.msra((20000,), 1, variance_norm="FAN_OUT"), 0, math.sqrt(2 / 20000)),
        (fillers.glorot_normal(SHAPE, 1), 0, math.sqrt(2 / (70 * 35))),
        (fillers.glorot_uniform(SHAPE, 1, gain="relu"), 0, math.sqrt(4 / (70 * 35))),
        (fillers.glorot_uniform((400, 300), 1, gain=3), 0, 3 * math.sqrt(2 / 700)),
        (fillers.he_normal(SHAPE, 1, gain="relu"), 0, math.sqrt(2 / (30 * 35))),
        (fillers.he_uniform((400, 300), 1), 0, math.sqrt(1 / 400)),
        (fillers.he_uniform(SHAPE, 1, fan_in=fillers.deconv_fan_in(SHAPE, (2, 3), groups=4)), 0, math.sqrt(6 / 350)),
    ],
)
def test_moments(weights, mean, std):
    assert_allclose(weights.std(), std, rtol=0.03)
    assert abs(weights.mean() - mean) < 5 * std / math.sqrt(weights.size)


@pytest.mark.parametrize(
    ("weights", "bound"),
    [
        (fillers.xavier(SHAPE, 1), math.sqrt(3 / 1050)),
        (fillers.glorot_uniform(SHAPE, 1), math.sqrt(6 / 2450)),
        (fillers.he_uniform(SHAPE, 1), math.sqrt(3 / 1050)),
    ],
)
def test_uniform_ones_fill_their_range(weights, bound):
    assert 0.999 * bound < np.abs(weights).max() <= bound * (1 + 1e-6)


def test_sparse_gaussian():
    weights = fillers.gaussian((50, 400), 1, std=2, sparse=10)
    kept = weights != 0
    assert_allclose(kept.mean(), 10 / 50, rtol=0.05)
    assert_allclose(weights[kept].std(), 2, rtol=0.05)
    assert not fillers.gaussian((50, 400), 1, sparse=0).any()
    with pytest.raises(SizeError, match="sparse"):
        fillers.gaussian((50, 400), 1, sparse=-2)


def test_positive_unitball():
    weights = fillers.positive_unitball((4, 3, 5, 2), 1, "float64")
    assert (weights > 0).all()
    assert_allclose(weights.sum(axis=(1, 2, 3)), 1)


def test_deconv_fan_in_keeps_the_variance():
    shape, stride = (24, 2, 6, 9), (2, 3)
    x = np.random.default_rng(3).standard_normal((1, 24, 12, 12))
    weights = fillers.he_normal(shape, 4, "float64", fan_in=fillers.deconv_fan_in(shape, stride))
    y = reference.conv_input_grad(weights, x, (28, 42), stride)[:, :, 6:-6, 9:-9]
    assert_allclose(y.std(), 1, rtol=0.15)
    # Lasagne's own rule counts the outputs and is off by sqrt(in / (out * stride cells)).
    y = reference.conv_input_grad(fillers.he_normal(shape, 4, "float64"), x, (28, 42), stride)[:, :, 6:-6, 9:-9]
    assert_allclose(y.std(), math.sqrt(24 / (2 * 6)), rtol=0.15)


def test_icnr_has_no_checkerboard():
    weights = fillers.icnr((3, 2, 6, 6), 1, "float64", stride=(2, 3))
    x = np.random.default_rng(5).standard_normal((1, 3, 4, 5))
    y = reference.conv_input_grad(weights, x, (12, 18), (2, 3))
    assert_array_equal(y, reference.repeat(y[:, :, ::2, ::3], (2, 3)))
    small = weights[:, :, ::2, ::3]
    assert_allclose(y[:, :, ::2, ::3], reference.conv_input_grad(small, x, (6, 6)), atol=1e-12)
    with pytest.raises(SizeError, match="kernel 6 on axis 3 is no multiple of stride 4"):
        fillers.icnr((3, 2, 6, 6), stride=(2, 4))


def test_registry_and_fill():
    names = ["bilinear", "constant", "gaussian", "msra", "positive_unitball", "uniform", "xavier"]
    assert sorted(fillers.FILLERS) == names
    fields = dict(value=0.5, min=-1, max=1, mean=2, std=3, variance_norm="FAN_OUT")
    for name in names:
        known = {k: v for k, v in fields.items() if k in _parameters(name)}
        expected = fillers.FILLERS[name]((4, 3, 5, 5), 1, "float64", **known)
        assert_array_equal(fillers.fill((4, 3, 5, 5), name, 1, "float64", **fields), expected)
    assert_array_equal(fillers.fill((2, 3), value=7), np.full((2, 3), 7))
    with pytest.raises(MismatchError, match=r"'xaver' \(did you mean 'xavier'\?\); there are bilinear, constant"):
        fillers.fill((2, 3), "xaver")
    with pytest.raises(MismatchError, match="sparse=3 goes with the gaussian filler"):
        fillers.fill((2, 3), "xavier", sparse=3)
    with pytest.raises(MismatchError, match="variance_norm"):
        fillers.xavier((2, 3), variance_norm="fan_in")


def _parameters(name):
    return {
        "constant": {"value"},
        "uniform": {"min", "max"},
        "gaussian": {"mean", "std"},
        "xavier": {"variance_norm"},
        "msra": {"variance_norm"},
    }.get(name, set())


def test_a_filler_of_ones_own(monkeypatch):
    monkeypatch.setattr(fillers, "FILLERS", dict(fillers.FILLERS))

    @fillers.caffe_filler
    def stairs(shape, rng=None, dtype="float32", *, value=1.0):
        return np.arange(math.prod(shape), dtype=dtype).reshape(shape) * value

    assert_array_equal(fillers.fill((1, 3), "stairs", value=2), [[0, 2, 4]])


def test_examples():
    result = doctest.testmod(fillers)
    assert result.attempted and not result.failed
