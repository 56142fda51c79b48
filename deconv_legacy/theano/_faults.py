"""Three faults of Aesara that only a patch can mend: each is looked for first, and mended only where it is found."""

from __future__ import annotations

from typing import Any

import numpy as np
from aesara.compile.function.pfunc import rebuild_collect_shared

from deconv_legacy.engine import aesara

__all__ = ["mend"]

at = aesara.tensor


def corr_fails() -> bool:
    """Whether ``CorrMM`` cannot even build its node (2.8.10-2.9.4: ``tuple`` of four arguments)."""
    image = at.TensorType("float32", (None,) * 4)()
    try:
        at.nnet.corr.CorrMM()(image, image)
    except TypeError:
        return True
    return False


def mend_corr() -> None:
    corr = at.nnet.corr

    def make_node(self: Any, img: Any, kern: Any) -> Any:
        img, kern = self.as_common_dtype(at.as_tensor_variable(img), at.as_tensor_variable(kern))
        if img.type.ndim != 4:
            raise TypeError("img must be 4D tensor")
        if kern.type.ndim != (6 if self.unshared else 4):
            raise TypeError(f"kern must be {6 if self.unshared else 4}D tensor")
        shape = (1 if img.type.shape[0] == 1 else None, 1 if kern.type.shape[0] == 1 else None, None, None)
        return aesara.graph.basic.Apply(self, [img, kern], [at.TensorType(img.type.dtype, shape=shape)()])

    corr.CorrMM.make_node = make_node


def default_update_fails() -> bool:
    """Whether a ``default_update`` whose static shape is more specific than the variable's is refused."""
    variable = aesara.shared(np.zeros(3, "float32"))
    variable.default_update = at.zeros((3,), dtype="float32")
    try:
        rebuild_collect_shared([variable + 1])
    except TypeError:
        return True
    return False


def mend_default_update() -> None:
    original = at.TensorType.filter_variable

    def filter_variable(self: Any, other: Any, allow_convert: bool = True) -> Any:
        if isinstance(other, at.Variable) and self.is_super(other.type):
            return other
        return original(self, other, allow_convert)

    at.TensorType.filter_variable = filter_variable


def pool_hessian_fails() -> bool:
    """Whether the second derivative of a max pool is announced with the shape of its input, not of its output."""
    image = at.TensorType("float32", (5,))()
    pooled = at.TensorType("float32", (None,))()
    op = at.signal.pool.DownsampleFactorMaxGradGrad(ignore_border=True, ndim=1)
    return bool(op(image, pooled, image, (2,)).type.shape == (5,))


def mend_pool_hessian() -> None:
    op = at.signal.pool.DownsampleFactorMaxGradGrad
    original = op.make_node

    def make_node(self: Any, x: Any, maxout: Any, *args: Any, **options: Any) -> Any:
        node = original(self, x, maxout, *args, **options)
        image, pooled = (variable.type for variable in node.inputs[:2])
        outputs = [at.TensorType(image.dtype, shape=pooled.shape)()]
        return aesara.graph.basic.Apply(self, node.inputs, outputs)

    op.make_node = make_node


def mend() -> list[str]:
    """Mend what is broken; the names of what was."""
    mended = []
    for name, fails, repair in (
        ("CorrMM.make_node", corr_fails, mend_corr),
        ("SharedVariable.default_update", default_update_fails, mend_default_update),
        ("DownsampleFactorMaxGradGrad.make_node", pool_hessian_fails, mend_pool_hessian),
    ):
        if fails():
            repair()
            mended.append(name)
    return mended
