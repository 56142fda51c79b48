"""Aesara's scalar Ops in JAX, and with them everything elementwise."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from deconv_legacy.engine._aesara import aesara
from deconv_legacy.engine.jax._import import jax
from deconv_legacy.engine.jax.translate import no_way, register

jnp, lax, special = jax.numpy, jax.lax, jax.scipy.special
at, scalar = aesara.tensor, aesara.scalar

__all__: list[str] = []


@functools.singledispatch
def number_function(op: Any) -> Any:
    """The function of JAX arrays that a scalar Op is: NumPy's name, where Aesara says it."""
    spec: Any = getattr(op, "nfunc_spec", None)
    try:
        function = functools.reduce(getattr, spec[0].split("."), jax if "." in spec[0] else jnp)
    except (TypeError, AttributeError):  # no spec, or one of SciPy that JAX has nothing like
        raise NotImplementedError(no_way(op)) from None
    if spec[1] == 2:  # Add and the like take more than two
        return lambda *values: functools.reduce(function, values)
    return function


@number_function.register(scalar.Cast)
def _(op):
    return lambda x: jnp.asarray(x).astype(jax.dtypes.canonicalize_dtype(op.o_type.dtype))


@number_function.register(scalar.Identity)
def _(op):
    return lambda x: x


@number_function.register(scalar.Second)
def _(op):
    return lambda x, y: jnp.broadcast_to(y, np.broadcast_shapes(np.shape(x), np.shape(y)))


@number_function.register(scalar.Switch)
def _(op):
    return lambda condition, x, y: jnp.where(jnp.asarray(condition) != 0, x, y)


@number_function.register(scalar.Clip)
def _(op):
    return lambda x, low, high: jnp.where(x < low, low, jnp.where(x > high, high, x))


@number_function.register(scalar.RoundHalfAwayFromZero)
def _(op):
    return lambda x: jnp.sign(x) * jnp.floor(jnp.abs(x) + 0.5)


@number_function.register(scalar.math.Sigmoid)
def _(op):
    return jax.nn.sigmoid


@number_function.register(scalar.math.Softplus)
def _(op):
    return lambda x: jnp.logaddexp(x, jnp.zeros_like(x))


# Where JAX has another name, or none

_OTHERS: dict[type, Any] = {
    scalar.basic.Real: jnp.real,
    scalar.basic.Complex: lax.complex,
    scalar.basic.ComplexFromPolar: lambda r, angle: lax.complex(r * jnp.cos(angle), r * jnp.sin(angle)),
    scalar.math.Psi: special.digamma,
    scalar.math.TriGamma: lambda x: special.polygamma(1, x),
    scalar.math.GammaU: lambda k, x: special.gammaincc(k, x) * special.gamma(k),
    scalar.math.GammaL: lambda k, x: special.gammainc(k, x) * special.gamma(k),
    scalar.math.Erfcinv: lambda x: -special.ndtri(x / 2) / np.sqrt(2).astype(x.dtype),
    scalar.math.Log1mexp: lambda x: jnp.where(x < -np.log(2), jnp.log1p(-jnp.exp(x)), jnp.log(-jnp.expm1(x))),
    at.nnet.basic.ScalarSoftsign: jax.nn.soft_sign,
}
for kind, function in _OTHERS.items():
    number_function.register(kind)(lambda op, function=function: function)


@number_function.register(scalar.Composite)
def _(op):
    inner = op.fgraph

    def composite(*values):
        tokens = dict(zip(inner.inputs, values, strict=True))
        for node in inner.toposort():
            arguments = [tokens[v] if v.owner or v in inner.inputs else v.data for v in node.inputs]
            tokens[node.outputs[0]] = number_function(node.op)(*arguments)
        results = [tokens[v] for v in inner.outputs]
        return results if len(results) > 1 else results[0]

    return composite


@register(at.elemwise.Elemwise)
def elemwise(op, node):
    return number_function(op.scalar_op)


@register(scalar.ScalarOp)
def number(op, node):
    return number_function(op)


@register(at.basic.TensorFromScalar, at.basic.ScalarFromTensor)
def same(op, node):
    return lambda x: x
