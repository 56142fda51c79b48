"""Update rules against loops that write the published formulas out; segmentation scores against counting."""

from __future__ import annotations

import numpy as np
import pytest
from agreement import assert_close

from deconv_legacy import engine
from deconv_legacy.engine import aesara
from deconv_legacy.errors import MismatchError, SizeError
from deconv_legacy.training import (
    adadelta,
    adagrad,
    adam,
    confusion,
    momentum,
    nesterov_momentum,
    rmsprop,
    scores,
    sgd,
)

at = aesara.tensor


def sgd_by_hand(p, gradient, rates):
    for rate in rates:
        p = p - rate * gradient(p)
        yield p


def momentum_by_hand(p, gradient, rates, mu=0.8):
    v = 0
    for rate in rates:
        v = mu * v - rate * gradient(p)
        p = p + v
        yield p


def nesterov_by_hand(p, gradient, rates, mu=0.8):
    """Sutskever et al. 2013 as they write it: the gradient is taken ahead, at p + mu v. What a program keeps and shows
    is that place, not p."""
    v, ahead = 0, p
    for rate in rates:
        v = mu * v - rate * gradient(ahead)
        p = p + v
        ahead = p + mu * v
        yield ahead


def adagrad_by_hand(p, gradient, rates, epsilon=1e-3):
    s = np.zeros_like(p)
    for rate in rates:
        g = gradient(p)
        s += g * g
        p = p - rate / np.sqrt(s + epsilon) * g
        yield p


def rmsprop_by_hand(p, gradient, rates, rho=0.7, epsilon=1e-3):
    mean = np.zeros_like(p)
    for rate in rates:
        g = gradient(p)
        mean = rho * mean + (1 - rho) * g * g
        p = p - rate * g / np.sqrt(mean + epsilon)
        yield p


def adadelta_by_hand(p, gradient, rates, rho=0.7, epsilon=1e-3):
    """Zeiler 2012, algorithm 1, times a rate."""
    of_gradients, of_steps = np.zeros_like(p), np.zeros_like(p)
    for rate in rates:
        g = gradient(p)
        of_gradients = rho * of_gradients + (1 - rho) * g**2
        step = -np.sqrt(of_steps + epsilon) / np.sqrt(of_gradients + epsilon) * g
        of_steps = rho * of_steps + (1 - rho) * step**2
        p = p + rate * step
        yield p


def adam_by_hand(p, gradient, rates, b1=0.8, b2=0.9, epsilon=1e-3):
    """Kingma & Ba 2015, section 2's last lines: the order of computations that changes epsilon's meaning."""
    m, v = np.zeros_like(p), np.zeros_like(p)
    for t, rate in enumerate(rates, 1):
        g = gradient(p)
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g * g
        p = p - rate * np.sqrt(1 - b2**t) / (1 - b1**t) * m / (np.sqrt(v) + epsilon)
        yield p


RULES = {
    "sgd": (sgd, {}, sgd_by_hand),
    "momentum": (momentum, {"momentum": 0.8}, momentum_by_hand),
    "nesterov": (nesterov_momentum, {"momentum": 0.8}, nesterov_by_hand),
    "adagrad": (adagrad, {"epsilon": 1e-3}, adagrad_by_hand),
    "rmsprop": (rmsprop, {"rho": 0.7, "epsilon": 1e-3}, rmsprop_by_hand),
    "adadelta": (adadelta, {"rho": 0.7, "epsilon": 1e-3}, adadelta_by_hand),
    "adam": (adam, {"beta1": 0.8, "beta2": 0.9, "epsilon": 1e-3}, adam_by_hand),
}
RATES = [0.1, 0.1, 0.05, 0.2, 0.025]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", RULES)
def test_rule(name, dtype):
    """Five steps with a rate that changes, a matrix and a vector, on the slope of x^4 / 4 + c x."""
    rule, numbers, by_hand = RULES[name]
    rng = np.random.default_rng(0)
    starts = [rng.standard_normal((3, 2)), rng.standard_normal(4)]
    slopes = [rng.standard_normal((3, 2)), rng.standard_normal(4)]
    params = [aesara.shared(p.astype(dtype), name=f"p{i}") for i, p in enumerate(starts)]
    loss = sum((p**4 / 4 + c.astype(dtype) * p).sum() for p, c in zip(params, slopes, strict=True))
    rate = aesara.shared(0.0)
    step = engine.compile([], loss, updates=rule(loss, params, rate, **numbers), backend="numpy")
    expected = zip(
        *(by_hand(p, lambda x, c=c: x**3 + c, RATES) for p, c in zip(starts, slopes, strict=True)), strict=True
    )
    for value, wanted in zip(RATES, expected, strict=True):
        rate.set_value(value)
        step()
        for p, w in zip(params, wanted, strict=True):
            assert_close(p.get_value(), w, dtype)


@pytest.mark.parametrize("name", RULES)
def test_rules_take_gradients_and_their_defaults(name):
    """From a loss or from its gradients: the same updates, with the defaults of Lasagne."""
    rule = RULES[name][0]
    results = []
    for ready in (False, True):
        p = aesara.shared(np.array([1.0, -2.0]))
        loss = (p**2).sum()
        rate = {} if name in ("adadelta", "adam") else {"learning_rate": 0.25}
        step = engine.compile([], updates=rule(aesara.grad(loss, [p]) if ready else loss, [p], **rate), backend="numpy")
        step()
        results.append(p.get_value())
    np.testing.assert_array_equal(*results)
    first = {
        "sgd": 0.5,
        "momentum": 0.5,
        "nesterov": 0.5 * 1.9,
        "adagrad": 0.25 * 2 / np.sqrt(4 + 1e-6),
        "rmsprop": 0.25 * 2 / np.sqrt(0.4 + 1e-6),
        "adadelta": 2 * np.sqrt(1e-6) / np.sqrt(0.05 * 4 + 1e-6),
        "adam": 0.001,
    }
    np.testing.assert_allclose(results[0][0], 1 - first[name], rtol=1e-7)


def test_gradients_must_be_as_many_as_parameters():
    p = aesara.shared(np.ones(2))
    with pytest.raises(MismatchError, match="1 gradients for 2 parameters"):
        sgd([p], [p, p], 0.1)


@pytest.mark.parametrize("dtype", ["int64", "float32", "uint8"])
def test_scores_are_counts(dtype):
    rng = np.random.default_rng(1)
    classes, ignored = 5, 255
    labels = rng.integers(0, classes - 1, (2, 7, 9))  # class 4 occurs in predictions alone
    labels[rng.random(labels.shape) < 0.2] = ignored
    predictions = rng.choice([0, 1, 2, 4], labels.shape)  # class 3 is never predicted
    counts = [[0] * classes for _ in range(classes)]
    for truth, found in zip(labels.ravel(), predictions.ravel(), strict=True):
        if truth != ignored:
            counts[truth][found] += 1
    histogram = confusion(labels.astype(dtype), predictions.astype(dtype), classes)
    assert histogram.tolist() == counts and histogram.dtype == np.int64
    total = sum(map(sum, counts))
    accuracies, ious, weighted = [], [], 0
    for c in range(classes):
        true, found = sum(counts[c]), sum(row[c] for row in counts)
        if true:
            accuracies.append(counts[c][c] / true)
            weighted += true * counts[c][c] / (true + found - counts[c][c]) / total
        ious.append(counts[c][c] / (true + found - counts[c][c]))
    result = scores(histogram)
    np.testing.assert_allclose(result.pixel_accuracy, sum(counts[c][c] for c in range(classes)) / total)
    np.testing.assert_allclose(result.mean_accuracy, np.mean(accuracies))
    np.testing.assert_allclose([v for v in result.accuracy if not np.isnan(v)], accuracies)
    np.testing.assert_allclose(result.iu, ious)
    np.testing.assert_allclose(result.mean_iu, np.mean(ious))
    np.testing.assert_allclose(result.frequency_weighted_iu, weighted)


def test_scores_of_classes_that_do_not_occur():
    result = scores(np.diag([3, 0, 2]))
    assert np.isnan(result.iu[1]) and np.isnan(result.accuracy[1])
    assert result.mean_iu == result.mean_accuracy == 1
    assert result.pixel_accuracy == result.frequency_weighted_iu == 1
    assert all(np.isnan(v) for v in (scores(np.zeros((2, 2))).pixel_accuracy, scores(np.zeros((2, 2))).mean_iu))
    assert confusion([], [], 2).tolist() == [[0, 0], [0, 0]]


def test_labels_and_predictions_that_do_not_fit():
    with pytest.raises(SizeError, match="2 labels for 3 predictions"):
        confusion([0, 1], [0, 1, 1], 2)
    with pytest.raises(MismatchError, match=r"0 \.\. 2, legal are 0 \.\. 1"):
        confusion([0, 1], [0, 2], 2)
    with pytest.raises(MismatchError, match="-1"):
        confusion([0, 1], [0, -1], 2)
    assert confusion([0, 255, -1], [0, 7, 9], 2).sum() == 1  # what is ignored may be predicted as anything
