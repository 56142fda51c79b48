"""`same_sizes`: what it lets pass and refuses, when the graph is built and when it runs."""

import numpy as np
import pytest
from engine_helpers import aesara, at, gradient, run

from deconv_legacy.engine import same_sizes
from deconv_legacy.errors import SizeError

X, Y = np.arange(6.0).reshape(2, 3), np.arange(10.0).reshape(2, 5)


def test_values_and_gradients_are_those_of_the_second():
    def build(x, y, v):
        z = same_sizes(x, y, but=1)
        gx, gy = (aesara.grad((z * z).sum(), w, disconnected_inputs="ignore") for w in (x, y))
        return [z, gx, gy, aesara.gradient.Rop(z, y, v), gradient(gy, y, v)]

    z, gx, gy, tangent, second = run("python", build, X, Y, Y + 1)
    np.testing.assert_array_equal(z, Y)
    np.testing.assert_array_equal(gx, np.zeros_like(X))
    np.testing.assert_array_equal(gy, 2 * Y)
    np.testing.assert_array_equal(tangent, Y + 1)
    np.testing.assert_array_equal(second, 2 * (Y + 1))


def test_refused_when_it_runs():
    for x, y, but, axis in [(X, Y, None, 1), (X, X[:1], None, 0), (X, X[:1], 1, 0), (X[:, :0], X, None, 1)]:
        with pytest.raises(SizeError, match=r"inputs of the shapes .* must be of one size") as error:
            run("python", lambda x, y, but=but: same_sizes(x, y, but), x, y)
        assert error.value.axis == axis


def test_what_is_known_is_checked_at_once():
    x, y = at.TensorType("float64", shape=(None, 3))(), at.TensorType("float64", shape=(2, None))()
    assert same_sizes(x, y).type.shape == (2, 3)
    assert same_sizes(x, y, but=1).type.shape == (2, None)
    assert same_sizes(at.constant(X), at.constant(Y), but=1).owner is None
    with pytest.raises(SizeError, match=r"shapes \(2, 3\) and \(2, 5\) must be of one size$"):
        same_sizes(X, Y)
    with pytest.raises(SizeError, match=r"shapes \(5, None\) and \(2, 3\) must be .* on all axes but 1"):
        same_sizes(at.TensorType("float64", shape=(5, None))(), X, but=1)
    with pytest.raises(SizeError, match="2 and 1 axes"):
        same_sizes(X, X[0])


def test_from_an_axis_on():
    x, y = at.TensorType("float64", shape=(2, None, 4))(), at.TensorType("float64", shape=(3, None))()
    assert same_sizes(x, y, axis=1).type.shape == (3, 4)
    with pytest.raises(
        SizeError, match=r"shape \(3, None\) does not lie on one of shape \(2, None, 4\) from axis 2 on"
    ):
        same_sizes(x, y, axis=2)
    whole = np.zeros((2, 3, 4))
    part = np.arange(12.0).reshape(3, 4)
    np.testing.assert_array_equal(run("python", lambda x, y: same_sizes(x, y, axis=1), whole, part), part)
    with pytest.raises(
        SizeError, match=r"shape \(2, 3\) does not lie on one of shape \(2, 3, 4\) from axis 1 on"
    ) as error:
        run("python", lambda x, y: same_sizes(x, y, axis=1), whole, X)
    assert error.value.axis == 1


def test_what_both_give_has_one_set_of_sizes():
    """Nothing of a shape is compared by Aesara, whose error would come first and say less."""
    x, y = at.dmatrix(), at.dmatrix()
    function = aesara.function([x, y], (x + same_sizes(x, y)).shape, mode="FAST_RUN", on_unused_input="ignore")
    assert not [
        node for node in function.maker.fgraph.apply_nodes if isinstance(node.op, aesara.raise_op.CheckAndRaise)
    ]
    np.testing.assert_array_equal(function(X, X), [2, 3])
