"""Layers against an independent NumPy specification, forward and backward, through ``caffe.Net``; and that
specification's gradients against its own differences."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from deconv_legacy import caffe, reference
from deconv_legacy.caffe import _state, parse_net, schema
from deconv_legacy.errors import DeconvLegacyError

RNG = np.random.default_rng(7)
X = RNG.standard_normal((2, 3, 4, 5))
LABELS = RNG.integers(0, 3, (2, 1, 4, 5)).astype(float)
IGNORED = np.where(RNG.random(LABELS.shape) < 0.3, 255, LABELS)
MATRIX = RNG.random((3, 3))
MASK = np.stack([RNG.permutation(9 * 11)[:20].reshape(4, 5) for _ in range(6)]).reshape(2, 3, 4, 5).astype(float)
C = RNG.standard_normal((4, 3))  # up to four blobs of three channels


pytestmark = pytest.mark.filterwarnings("ignore:not of BVLC Caffe")


@pytest.fixture(autouse=True)
def without_compiler(monkeypatch):
    """What is computed counts here, not by which code."""
    monkeypatch.setattr(_state, "backend", "numpy")


def difference(function, arrays, index, g, step=1e-5):
    """The gradient of ``sum(g * function(*arrays))`` for one of the arrays, by central differences in float64."""
    found = np.zeros(arrays[index].shape)
    for place in np.ndindex(*found.shape):
        moved = []
        for sign in (1, -1):
            copies = [np.array(a, float) for a in arrays]
            copies[index][place] += sign * step
            moved.append(float((g * function(*copies)).sum()))
        found[place] = (moved[0] - moved[1]) / (2 * step)
    return found


def run(layer, inputs, g=None, blobs=(), phase=caffe.TEST, tops=("y",), forks=False):
    """(tops, diffs of inputs, diffs of parameters) of a net of this one layer."""
    shapes = " ".join(f"shape {{ {' '.join(f'dim: {n}' for n in a.shape)} }}" for a in inputs)
    names = [f"x{i}" for i in range(len(inputs))]
    bottoms, given, made = (" ".join(f'{end}: "{n}"' for n in of) for end, of in
                            (("bottom", names), ("top", names), ("top", tops)))  # fmt: skip
    text = f"""force_backward: true
        layer {{ name: "in" type: "Input" {given} input_param {{ {shapes} }} }}
        layer {{ name: "l" {bottoms} {made} {layer} }}"""
    net = caffe.Net(parse_net(text, allow_unknown=forks), phase)
    for name, values in zip(names, inputs, strict=True):
        net.blobs[name].data[...] = values
    for blob, values in zip(net.params.get("l", []), blobs, strict=bool(blobs)):
        blob.data[...] = np.reshape(values, blob.data.shape)
    net.forward()
    found = [net.blobs[name].data.copy() for name in tops]
    if g is None:
        return net, found, [], []
    net.blobs[tops[0]].diff[...] = g
    net.backward()
    return net, found, [net.blobs[n].diff for n in names], [blob.diff for blob in net.params.get("l", [])]


def close(actual, expected):
    expected = np.asarray(expected)
    assert actual.shape == expected.shape
    assert np.abs(actual - expected).max(initial=0) <= 2e-5 * max(np.abs(expected).max(initial=0), 1e-30)


# layer, inputs, what it computes in float64 (smooth: its gradient is that of its differences)
SMOOTH = {
    "reshape": ('type: "Reshape" reshape_param { shape { dim: [0, -1, 5, 2] } }', [X], lambda x: x.reshape(2, 6, 5, 2)),
    "reshape-inside": (
        'type: "Reshape" reshape_param { shape { dim: [2, -1] } axis: 2 num_axes: 1 }',
        [X],
        lambda x: x.reshape(2, 3, 2, 2, 5),
    ),
    "reshape-copy-from-behind": (
        'type: "Reshape" reshape_param { shape { dim: [-1, 0] } axis: 2 num_axes: 2 }',
        [X],
        lambda x: x.reshape(2, 3, 4, 5),
    ),
    "reshape-behind": (
        'type: "Reshape" reshape_param { shape { dim: 1 } axis: -1 num_axes: 0 }',
        [X],
        lambda x: x[..., None],
    ),
    "flatten": ('type: "Flatten"', [X], lambda x: x.reshape(2, 60)),
    "flatten-some": ('type: "Flatten" flatten_param { axis: 1 end_axis: -2 }', [X], lambda x: x.reshape(2, 12, 5)),
    "tile": ('type: "Tile" tile_param { axis: 2 tiles: 3 }', [X], lambda x: np.tile(x, (1, 1, 3, 1))),
    "mvn-mean": (
        'type: "MVN" mvn_param { normalize_variance: false }',
        [X],
        partial(reference.mvn, normalize_variance=False),
    ),
    "mvn": ('type: "MVN"', [X], reference.mvn),
    "mvn-across": (
        'type: "MVN" mvn_param { across_channels: true }',
        [X],
        partial(reference.mvn, across_channels=True),
    ),
    "mvn-matrix": (
        'type: "MVN" mvn_param { across_channels: true }',
        [X[:, :, 0, 0]],
        partial(reference.mvn, across_channels=True),
    ),
    "reduction-sum": (
        'type: "Reduction" reduction_param { axis: 2 coeff: 3 }',
        [X],
        partial(reference.reduction, axis=2, coeff=3),
    ),
    "reduction-asum": (
        'type: "Reduction" reduction_param { operation: ASUM axis: -1 coeff: -2 }',
        [X],
        partial(reference.reduction, operation="ASUM", axis=-1, coeff=-2),
    ),
    "reduction-sumsq": (
        'type: "Reduction" reduction_param { operation: SUMSQ axis: 1 }',
        [X],
        partial(reference.reduction, operation="SUMSQ", axis=1),
    ),
    "reduction-mean": (
        'type: "Reduction" reduction_param { operation: MEAN }',
        [X],
        partial(reference.reduction, operation="MEAN"),
    ),
    "scale-2-bottoms": ('type: "Scale"', [X, X[0, :, :, 0]], lambda x, s: x * s[None, :, :, None]),
    "scale-scalar": ('type: "Scale" scale_param { axis: 0 }', [X, X[1, 1, 1, 1]], lambda x, s: x * s),
    "bias-2-bottoms": ('type: "Bias" bias_param { axis: -2 }', [X, X[1, 1]], lambda x, b: x + b),
    "interp-zoom": ('type: "Interp" interp_param { zoom_factor: 3 }', [X], partial(reference.interp, zoom_factor=3)),
    "interp-shrink": (
        'type: "Interp" interp_param { shrink_factor: 2 }',
        [X],
        partial(reference.interp, shrink_factor=2),
    ),
    "interp-both": (
        'type: "Interp" interp_param { shrink_factor: 3 zoom_factor: 4 }',
        [X],
        partial(reference.interp, shrink_factor=3, zoom_factor=4),
    ),
    "interp-size": ('type: "Interp" interp_param { height: 7 width: 3 }', [X], partial(reference.interp, size=(7, 3))),
    "interp-zoom-wins": (
        'type: "Interp" interp_param { height: 7 width: 3 zoom_factor: 2 }',
        [X],
        partial(reference.interp, size=(7, 3), zoom_factor=2),
    ),
    "interp-size-wins-over-both": (
        'type: "Interp" interp_param { height: 7 width: 3 zoom_factor: 2 shrink_factor: 2 }',
        [X],
        partial(reference.interp, size=(7, 3), zoom_factor=2, shrink_factor=2),
    ),
    "interp-pads": (
        'type: "Interp" interp_param { zoom_factor: 2 pad_beg: -1 pad_end: -2 }',
        [RNG.standard_normal((1, 2, 6, 7))],
        partial(reference.interp, zoom_factor=2, pad_beg=-1, pad_end=-2),
    ),
    "upsample-size": (
        'type: "Upsample" upsample_param { upsample_h: 9 upsample_w: 11 }',
        [X, MASK],
        lambda x, mask: reference.unpool(x, mask.astype(int), (9, 11)),
    ),
    "upsample-scale": (
        'type: "Upsample" upsample_param { scale: 3 }',
        [X, MASK],
        lambda x, mask: reference.unpool(x, mask.astype(int), (12, 15)),
    ),
    "upsample-pad-out": (
        'type: "Upsample" upsample_param { scale_h: 2 scale_w: 10 pad_out_h: true }',
        [X, MASK],
        lambda x, mask: reference.unpool(x, mask.astype(int), (7, 50)),
    ),
    "unpooling": (
        'type: "Unpooling" unpooling_param { unpool: MAX kernel_size: 2 stride: 2 unpool_size: 10 }',
        [X, MASK],
        lambda x, mask: reference.unpool(x, mask.astype(int), (10, 10)),
    ),
    "unpooling-two-sizes": (
        'type: "Unpooling" unpooling_param { kernel_size: 2 unpool_h: 9 unpool_w: 12 }',
        [X, MASK],
        lambda x, mask: reference.unpool(x, mask.astype(int), (9, 12)),
    ),
}


@pytest.mark.parametrize("case", SMOOTH)
def test_layers_without_parameters(case):
    layer, inputs, function = SMOOTH[case]
    expected = function(*inputs)
    g = np.random.default_rng(1).standard_normal(expected.shape)
    net, (found,), diffs, _ = run(layer, inputs, g, forks=True)
    assert net.params == {}
    close(found, expected)
    for index, diff in enumerate(diffs):
        if inputs[index] is MASK:
            continue
        expected_diff = difference(function, inputs, index, g)
        assert np.abs(diff - expected_diff).max() <= 2e-4 * np.abs(expected_diff).max()


BLOBS = {
    "bn-segnet": ("", 2, reference.bn_segnet),
    "bn-segnet-inference": ("bn_mode: INFERENCE", 2, partial(reference.bn_segnet, inference=True)),
    "bn-pspnet": ("eps: 0.01", 4, lambda x, *b: reference.bn_pspnet(x, b, eps=0.01)[0]),
    "bn-pspnet-frozen": ("frozen: true", 4, lambda x, *b: reference.bn_pspnet(x, b)[0]),
    "bn-pspnet-train": ("momentum: 0.7", 4, lambda x, *b: reference.bn_pspnet(x, b, train=True, momentum=0.7)[0]),
}


@pytest.mark.parametrize("case", BLOBS)
def test_the_forks_batch_normalisations(case):
    param, count, function = BLOBS[case]
    blobs = [*C[:count]]
    if count == 4:
        blobs[3] = blobs[3] ** 2 + 0.1
    train = "train" in case or "frozen" in case
    g = np.random.default_rng(2).standard_normal(X.shape)
    layer = f'type: "BN" bn_param {{ {param} }}'
    net, (found,), (diff,), grads = run(layer, [X], g, blobs, caffe.TRAIN if train else caffe.TEST, forks=True)
    assert [blob.data.shape for blob in net.params["l"]] == [(1, 3, 1, 1)] * count
    close(found, function(X, *blobs))
    arrays = [X, *blobs]
    for index, ours in ((0, diff), (1, grads[0].ravel()), (2, grads[1].ravel())):
        expected = difference(function, arrays, index, g)
        if "frozen" in case and index:
            expected = 0 * expected  # nothing of it learns
        assert np.abs(ours - expected).max() <= 2e-4 * max(np.abs(expected).max(), 1e-30)
    kept = [blob.data.ravel() for blob in net.params["l"][2:]]
    moved = reference.bn_pspnet(X, blobs, train="train" in case, momentum=0.7)[1] if count == 4 else []
    for ours, expected in zip(kept, moved, strict=True):
        close(ours, expected)


def test_a_bn_without_fillers_is_zero_and_tells_its_moments():
    net, tops, _, _ = run('type: "BN"', [X], tops=("y", "mean", "var"), forks=True)
    assert not tops[0].any() and not net.params["l"][0].data.any()
    for found, expected in zip(tops[1:], reference.batch_moments(X), strict=True):
        close(found, expected.reshape(1, 3, 1, 1))


def test_statistics_are_not_decayed():
    """PSPNet's running mean and variance, and BatchNorm's, move by the batches alone."""
    text = """
        layer { name: "in" type: "DummyData" top: "x" top: "t" dummy_data_param {
            shape { dim: [2, 3, 4, 5] } shape { dim: [2, 3, 4, 5] } data_filler { value: 0 } } }
        layer { name: "bn" type: "BN" bottom: "x" top: "y" bn_param { momentum: 0.5 slope_filler { value: 1 } } }
        layer { name: "loss" type: "EuclideanLoss" bottom: "y" bottom: "t" top: "loss" }"""
    net = parse_net(text, allow_unknown=True)
    param = schema.messages(forks=True).SolverParameter(
        net_param=net, base_lr=0.1, lr_policy="fixed", weight_decay=0.5, momentum=0.9
    )
    solver = caffe.SGDSolver(param)
    solver.net.params["bn"][2].data[...] = solver.net.params["bn"][3].data[...] = 8
    solver.step(3)
    for blob in solver.net.params["bn"][2:]:  # the batches are zeros
        np.testing.assert_array_equal(blob.data.ravel(), [1, 1, 1])
    assert (solver.net.params["bn"][0].data < 1).all()


@pytest.mark.parametrize("norm", [1, 2])
@pytest.mark.parametrize("shape", [(4, 5), (4, 2, 1, 3)], ids=["matrix", "planes"])
def test_hinge_loss(norm, shape):
    rng = np.random.default_rng(3)
    x, labels = rng.standard_normal(shape), rng.integers(0, 5, 4).astype(float)
    layer = f'type: "HingeLoss" loss_weight: 1.5 hinge_loss_param {{ norm: L{norm} }}'
    _, (loss,), (diff, _), _ = run(layer, [x, labels], 1.5)
    close(loss, reference.hinge_loss(x, labels, norm))
    close(diff, reference.hinge_loss_grad(x, labels, norm, 1.5))
    close(diff, difference(lambda a, b: np.array(reference.hinge_loss(a, b, norm)), [x, labels], 0, 1.5))


@pytest.mark.parametrize("rule", ["FULL", "VALID", "BATCH_SIZE", "NONE"])
@pytest.mark.parametrize("source", ["file", "bottom"])
def test_infogain_loss(rule, source, tmp_path):
    inputs = [X, IGNORED] + ([MATRIX.reshape(1, 1, 3, 3)] if source == "bottom" else [])
    (tmp_path / "h.binaryproto").write_bytes(caffe.io.array_to_blobproto(MATRIX).SerializeToString())
    param = "" if source == "bottom" else f'infogain_loss_param {{ source: "{tmp_path}/h.binaryproto" }}'
    layer = f'type: "InfogainLoss" {param} loss_param {{ ignore_label: 255 normalization: {rule} }}'
    _, (loss, prob), diffs, _ = run(layer, inputs, 1.0, tops=("y", "p"))
    close(loss, reference.infogain_loss(X, IGNORED, MATRIX, 255, rule))
    close(prob, reference.softmax(X))
    close(diffs[0], reference.infogain_loss_grad(X, IGNORED, MATRIX, 255, rule))
    small = X[:1, :, :2, :2], IGNORED[:1, :, :2, :2]
    spec = lambda a, b: np.array(reference.infogain_loss(a, b, MATRIX, 255, rule))  # noqa: E731
    close(reference.infogain_loss_grad(*small, MATRIX, 255, rule), difference(spec, small, 0, 1.0))


@pytest.mark.parametrize(
    "axis, top_k, ignore", [(1, 1, None), (1, 2, 255), (-1, 2, None), (2, 3, 0), (1, 3, None)], ids=str
)
def test_accuracy(axis, top_k, ignore):
    rng = np.random.default_rng(4)
    x = rng.integers(0, 4, X.shape).astype(float)  # with ties
    sizes = [n for i, n in enumerate(X.shape) if i != axis % 4]
    labels = rng.integers(0, X.shape[axis], sizes).astype(float)
    if ignore == 255:
        labels[rng.random(labels.shape) < 0.3] = 255
    param = f"axis: {axis} top_k: {top_k}" + (f" ignore_label: {ignore}" if ignore is not None else "")
    _, (total, each), _, _ = run(f'type: "Accuracy" accuracy_param {{ {param} }}', [x, labels], tops=("y", "each"))
    expected, by_class = reference.accuracy(x, labels, top_k, axis % 4, ignore)
    close(total, expected)
    close(each, by_class)


def test_a_maximum_passes_over_its_coefficients():
    other = X[::-1].copy()
    _, (found,), _, _ = run('type: "Eltwise" eltwise_param { operation: MAX coeff: 3 coeff: -1 }', [X, other])
    close(found, np.maximum(X, other))


@pytest.mark.parametrize("top_k", [1, 2])
def test_eltwise_accuracy(top_k):
    x = np.random.default_rng(4).integers(0, 3, X.shape).astype(float)  # with ties
    hits = []
    for n, row, column in np.ndindex(2, 4, 5):
        label = int(IGNORED[n, 0, row, column])
        order = sorted(((x[n, c, row, column], c) for c in range(3)), reverse=True)[:top_k]
        hits += [label in [c for _, c in order]] if label != 255 else []
    layer = f'type: "EltwiseAccuracy" eltwise_accuracy_param {{ top_k: {top_k} ignore_label: 255 }}'
    _, (found,), _, _ = run(layer, [x, IGNORED], forks=True)
    close(found, np.full((1, 1, 1, 1), np.mean(hits)))


@pytest.mark.parametrize("axis", [None, 0, 1, -1], ids=str)
@pytest.mark.parametrize("top_k", [1, 2])
@pytest.mark.parametrize("values", [False, True], ids=["index", "value"])
def test_arg_max(axis, top_k, values):
    x = np.random.default_rng(5).integers(0, 3, X.shape).astype(float)
    param = f"top_k: {top_k} out_max_val: {str(values).lower()}" + (f" axis: {axis}" if axis is not None else "")
    _, (found,), _, _ = run(f'type: "ArgMax" argmax_param {{ {param} }}', [x])
    np.testing.assert_array_equal(found, reference.arg_max(x, top_k, axis, values))


def test_mvn_of_a_constant_plane_has_caffes_finite_gradient():
    x, g = np.full((1, 2, 3, 4), 2.5), np.random.default_rng(6).standard_normal((1, 2, 3, 4))
    _, (found,), (diff,), _ = run('type: "MVN" mvn_param { eps: 0.5 }', [x], g)
    assert not found.any()
    close(diff, reference.mvn_grad(x, g, eps=0.5))
    x = np.random.default_rng(8).standard_normal(x.shape)
    _, _, (diff,), _ = run('type: "MVN" mvn_param { eps: 0.5 }', [x], g)
    close(diff, reference.mvn_grad(x, g, eps=0.5))  # which is not quite that of `mvn`


def test_unpooling_of_a_doubled_mask():
    """Overlapping pooling gives one cell twice: the last value stays, and both get its gradient."""
    x, mask = np.arange(1.0, 7).reshape(1, 1, 2, 3), np.array([[[[0, 3, 3], [7, 1, 0]]]], float)
    g = np.arange(10.0, 26).reshape(1, 1, 4, 4)
    for layer in ('type: "Upsample" upsample_param { upsample_h: 4 upsample_w: 4 }',
                  'type: "Unpooling" unpooling_param { unpool_size: 4 }'):  # fmt: skip
        _, (found,), (diff, _), _ = run(layer, [x, mask], g, forks=True)
        close(found, reference.unpool(x, mask.astype(int), (4, 4)))
        close(diff, reference.unpool_grad(mask.astype(int), g))


REFUSED = {
    "log-of-base-1": ('type: "Log" log_param { base: 1 }', [X], "no logarithm of base 1"),
    "reshape-count": ('type: "Reshape" reshape_param { shape { dim: [7, -1] } }', [X], "divisible"),
    "reshape-two": ('type: "Reshape" reshape_param { shape { dim: [-1, -1] } }', [X], "once -1"),
    "reshape-copy": ('type: "Reshape" reshape_param { shape { dim: [1, 0] } axis: 3 }', [X], "no axis to copy"),
    "reshape-axis": ('type: "Reshape" reshape_param { axis: 5 }', [X], "axis 5"),
    "flatten": ('type: "Flatten" flatten_param { axis: 3 end_axis: 1 }', [X], "behind end_axis 1"),
    "tile": ('type: "Tile"', [X], "tiles 0"),
    "mvn": ('type: "MVN"', [X[None]], "5 axes"),
    "reduction": ('type: "Reduction" reduction_param { axis: 4 }', [X], "axis 4"),
    "scale": ('type: "Scale"', [X, X[0, 0]], "does not lie on"),
    "bias": ('type: "Bias" bias_param { axis: 2 }', [X, X[0]], "does not lie on"),
    "accuracy-k": ('type: "Accuracy" accuracy_param { top_k: 4 }', [X, LABELS], "top_k 4"),
    "accuracy-labels": ('type: "Accuracy"', [X, LABELS[..., :2]], "number of labels"),
    "accuracy-range": ('type: "Accuracy"', [X, LABELS + 3], "none of the classes"),
    "hinge-range": ('type: "HingeLoss"', [X, np.array([0, 60.0])], "none of the classes"),
    "hinge-labels": ('type: "HingeLoss"', [X, np.zeros(3)], "number of labels"),
    "infogain-source": ('type: "InfogainLoss"', [X, LABELS], "source must be specified"),
    "infogain-matrix": ('type: "InfogainLoss"', [X, LABELS, np.ones((3, 4))], "3 classes need 9"),
    "infogain-range": ('type: "InfogainLoss"', [X, LABELS - 1, MATRIX], "none of the classes"),
    "infogain-normalize": (
        'type: "InfogainLoss" loss_param { normalize: true }',
        [X, LABELS, MATRIX],
        "normalize is deprecated",
    ),
    "softmax-range": ('type: "SoftmaxWithLoss"', [X, LABELS + 1], "label"),
    "argmax-k": ('type: "ArgMax" argmax_param { top_k: 6 axis: 3 }', [X], "top_k 6"),
    "interp-nothing": ('type: "Interp" interp_param { height: 3 }', [X], "height and width"),
    "interp-pad": ('type: "Interp" interp_param { zoom_factor: 2 pad_beg: 1 }', [X], "only cropping"),
    "interp-all": ('type: "Interp" interp_param { zoom_factor: 2 pad_beg: -4 }', [X], "leave"),
    "upsample-scale": ('type: "Upsample" upsample_param { scale: 1 }', [X, MASK], "at least 2"),
    "upsample-mask": ('type: "Upsample" upsample_param { scale: 2 }', [X, MASK + 80], "mask"),
    "unpooling-size": ('type: "Unpooling" unpooling_param { kernel_size: 2 stride: 2 }', [X, MASK], "are required"),
    "unpooling-tile": ('type: "Unpooling" unpooling_param { unpool: TILE unpool_size: 9 }', [X, MASK], "only MAX"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_is_refused_with_the_layers_name(case):
    layer, inputs, words = REFUSED[case]
    with pytest.raises(DeconvLegacyError, match=words) as caught:
        run(layer, inputs, forks=True)
    assert "l (" in str(caught.value) or "layer 'l'" in str(caught.value)
