"""Softmax and Caffe's losses in C and NumPy against the reference, real Caffe, and slopes."""

import numpy as np
import pytest
from agreement import assert_close
from engine_helpers import BACKENDS, PYTHON, aesara, at, caffe_case, gradient, run

from deconv_legacy import reference
from deconv_legacy.engine.softmax import (
    NORMALIZATIONS,
    SoftmaxLossGradient,
    sigmoid_cross_entropy_loss,
    softmax,
    softmax_loss,
)
from deconv_legacy.errors import SizeError

RNG = np.random.default_rng(11)
IGNORED = 255


def case(dtype="float64", shape=(2, 4, 5, 7), axis=1, label_dtype="int64"):
    scores = 3 * RNG.standard_normal(shape)
    labels = RNG.integers(0, shape[axis], (*shape[:axis], *shape[axis + 1 :]))
    labels[RNG.random(labels.shape) < 0.3] = IGNORED
    return scores.astype(dtype), labels.astype(label_dtype)


def losses(**kwargs):
    """A builder: the loss, and the gradient of a multiple of it."""

    def build(scores, labels):
        loss = softmax_loss(scores, labels, **kwargs)
        return [loss, aesara.grad(2.5 * loss, scores)]

    return build


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("axis", [1, -1, 0])
def test_softmax(axis, backend):
    x, g = (RNG.standard_normal((3, 4, 5)) for _ in range(2))
    x[0] += 1000

    def build(x, g):
        y = softmax(x, axis)
        return [y, gradient(y, x, g)]

    y, gx = run(backend, build, x, g)
    assert_close(y, reference.softmax(x, axis))
    assert_close(gx, reference.softmax_grad(x, g, axis))
    with pytest.raises(SizeError, match="axis 3 of scores of 3 axes"):
        softmax(at.tensor3(), 3)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("normalization", NORMALIZATIONS)
def test_loss(normalization, dtype, backend):
    scores, labels = case(dtype)
    kwargs = dict(ignore_label=IGNORED, normalization=normalization)
    loss, g = run(backend, losses(**kwargs), scores, labels[:, None])
    kwargs["normalization"] = normalization.upper()
    assert loss.dtype == g.dtype == dtype and loss.shape == ()
    assert_close(loss, reference.softmax_loss(scores, labels, **kwargs), dtype)
    assert_close(g, reference.softmax_loss_grad(scores, labels, loss_weight=2.5, **kwargs), dtype)
    assert not np.moveaxis(g, 1, -1)[labels == IGNORED].any()


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("axis, shape", [(0, (4, 7)), (1, (3, 5)), (2, (2, 3, 5, 4)), (3, (2, 3, 4, 5))])
def test_any_axis(axis, shape, backend):
    scores, labels = case(shape=shape, axis=axis)
    for normalization in ("valid", "batch_size"):
        build = losses(axis=axis - len(shape), ignore_label=IGNORED, normalization=normalization)
        loss, g = run(backend, build, scores, labels)
        arguments = (scores, labels, IGNORED, normalization.upper(), axis)
        assert_close(loss, reference.softmax_loss(*arguments))
        assert_close(g, reference.softmax_loss_grad(*arguments, loss_weight=2.5))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    "name, normalization", [("softmaxloss_fcn", "batch_size"), ("softmaxloss_normalize_true", "valid")]
)
def test_real_caffe(name, normalization, backend):
    arrays, _ = caffe_case(name)

    def build(scores, labels):
        loss = softmax_loss(scores, labels, ignore_label=255, normalization=normalization)
        return [loss, aesara.grad(loss, scores)]

    loss, g = run(backend, build, arrays["in/data"], arrays["in/label"])
    assert_close(loss, arrays["out/loss"], "float32")
    assert_close(g, arrays["in_diff/data"], "float32")


@pytest.mark.parametrize("backend", BACKENDS)
def test_real_caffe_softmax(backend):
    arrays, _ = caffe_case("softmax_axis1")

    def build(x, g):
        y = softmax(x)
        return [y, gradient(y, x, g)]

    y, gx = run(backend, build, arrays["in/data"], arrays["top_diff/out"])
    assert_close(y, arrays["out/out"], "float32")
    assert_close(gx, arrays["in_diff/data"], "float32")


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_sum_is_exact_or_as_in_caffe_s_log(backend):
    """The first line of FCN's training log: Caffe's float32 sum is off by 0.05 %."""
    scores = np.zeros((1, 21, 500, 500), "float32")
    labels = np.zeros((1, 1, 500, 500), "float32")

    def build(scores, labels):
        arguments = (scores, labels, 1, 255, "none")
        return [softmax_loss(*arguments), softmax_loss(*arguments, caffe_cpu_sum=True)]

    exact, caffe = run(backend, build, scores, labels)
    assert exact == np.float32(250000 * np.log(21))
    assert f"{caffe:.1f}" == "761513.5"


@pytest.mark.parametrize("backend", BACKENDS)
def test_caffe_cpu_sum_of_random_scores(backend):
    scores, labels = case("float32", (3, 4, 30, 41))
    build = losses(ignore_label=IGNORED, normalization="full", caffe_cpu_sum=True)
    loss, g = run(backend, build, scores, labels)
    expected = reference.softmax_loss(scores, labels, IGNORED, "FULL", caffe_cpu_sum=True)
    np.testing.assert_allclose(loss, expected, rtol=1e-6)
    assert_close(g, reference.softmax_loss_grad(scores, labels, IGNORED, "FULL", loss_weight=2.5), "float32")


@pytest.mark.parametrize("backend", BACKENDS)
def test_labels_are_truncated_and_hopeless_ones_cost_minus_log_flt_min(backend):
    scores = np.array([[0.0, 1000.0], [0.0, 0.0], [0.0, 0.0]])
    labels = np.array([0.9, 1.9, -0.9], "float32")  # 0, 1, 0

    def build(scores, labels):
        return [softmax_loss(scores, labels, normalization="none", caffe_cpu_sum=way) for way in (False, True)]

    expected = -np.log(np.finfo(np.float32).tiny) + 2 * np.log(2)
    np.testing.assert_allclose(run(backend, build, scores, labels), [expected] * 2, rtol=1e-6)


@pytest.mark.parametrize("backend", BACKENDS)
def test_nothing_counts(backend):
    """All ignored, or an empty batch: loss 0, gradient 0."""
    scores, labels = case()
    loss, g = run(backend, losses(ignore_label=IGNORED), scores, np.full_like(labels, IGNORED))
    assert loss == 0 and not g.any()
    loss, g = run(backend, losses(ignore_label=IGNORED), scores[:0], labels[:0])
    assert loss == 0 and g.shape == (0, 4, 5, 7)


@pytest.mark.parametrize("backend", BACKENDS)
def test_views(backend):
    scores, _ = case(shape=(2, 7, 5, 4))
    labels = RNG.integers(0, 5, (2, 5, 7))  # 4 is ignored

    def build(scores, labels):
        return softmax_loss(scores.transpose(0, 3, 2, 1), labels.transpose(0, 2, 1)[:, ::-1], ignore_label=4)

    loss = run(backend, build, scores, labels.transpose(0, 2, 1)[:, :, ::-1])
    assert_close(loss, reference.softmax_loss(scores.transpose(0, 3, 2, 1), labels, 4))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("label", [4, -1, np.nan])
def test_a_label_that_is_no_class_is_refused(label, backend):
    scores, labels = case("float32", label_dtype="float32")
    labels[labels == IGNORED] = 0
    labels[1, 3, 2] = label
    words = rf"label {label}.* at \(1, 3, 2\) is none of the 4 classes"
    with pytest.raises(SizeError, match=words):
        run(backend, lambda s, t: softmax_loss(s, t), scores, labels)
    with pytest.raises(SizeError, match=words):
        run(backend, lambda s, t: SoftmaxLossGradient()(s, t, 1.0), scores, labels)


@pytest.mark.parametrize("backend", BACKENDS)
def test_labels_of_a_wrong_shape_are_refused(backend):
    scores, labels = case()
    words = r"labels of shape \(2, 7, 5\) .* legal are \(2, 5, 7\) and \(2, 1, 5, 7\)"
    with pytest.raises(SizeError, match=words):
        run(backend, lambda s, t: softmax_loss(s, t), scores, labels.transpose(0, 2, 1))
    with pytest.raises(SizeError, match=words):
        softmax_loss(at.constant(scores), labels.transpose(0, 2, 1))
    with pytest.raises(SizeError, match="no class on axis 1"):
        run(backend, lambda s, t: softmax_loss(s, t), scores[:, :0], labels)


def test_wrong_arguments():
    with pytest.raises(SizeError, match="axis 2 of scores of 2 axes"):
        softmax_loss(at.matrix(), at.ivector(), axis=2)
    with pytest.raises(ValueError, match="valid, full, batch_size, none"):
        softmax_loss(at.matrix(), at.ivector(), normalization="mean")
    with pytest.raises(ValueError, match="valid, full, batch_size, none"):
        sigmoid_cross_entropy_loss(at.matrix(), at.matrix(), normalization="mean")
    with pytest.raises(TypeError, match="float32 and float64"):
        softmax_loss(at.imatrix(), at.ivector())
    with pytest.raises(SizeError, match="1 axes for scores of 2"):
        sigmoid_cross_entropy_loss(at.matrix(), at.vector())


def test_gradient_is_the_slope():
    scores, labels = case(shape=(2, 3, 2, 4), label_dtype="int32")
    for ignored in (None, 1):
        aesara.gradient.verify_grad(
            lambda s, ignored=ignored: softmax_loss(s, labels % 3, 1, ignored, "full"),
            [scores],
            rng=np.random.default_rng(0),
            mode=PYTHON,
        )


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
def test_sigmoid_cross_entropy(normalization):
    x, t = 4 * RNG.standard_normal((3, 2, 5)), RNG.random((3, 2, 5)).round(1)
    x[0, 0, :2], t[0, 0, :2] = [80, -80], [1, 0]
    for ignored in (None, IGNORED):
        targets = np.where(RNG.random(t.shape) < 0.3, 255.5, t) if ignored else t

        def build(x, t, ignored=ignored):
            loss = sigmoid_cross_entropy_loss(x, t, ignored, normalization)
            return [loss, aesara.grad(loss, x)]

        loss, g = run("python", build, x, targets)
        assert_close(loss, reference.sigmoid_cross_entropy_loss(x, targets, ignored, normalization.upper()))
        assert_close(g, reference.sigmoid_cross_entropy_loss_grad(x, targets, ignored, normalization.upper()))


def test_sigmoid_cross_entropy_of_sure_scores_is_not_lost_in_rounding():
    loss = run("python", sigmoid_cross_entropy_loss, np.array([[50.0, -60.0]]), np.array([[1.0, 0.0]]))
    np.testing.assert_allclose(loss, np.exp(-50) + np.exp(-60), rtol=1e-12)
