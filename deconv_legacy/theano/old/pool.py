"""``theano.tensor.signal.pool`` and ``downsample``: Theano's argument names, Aesara's pooling Ops."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from aesara.tensor.signal import pool as aesara_pool
from aesara.tensor.signal.pool import Pool, max_pool_2d_same_size

__all__ = [
    "DownsampleFactorMax",
    "PoolingMode_t",
    "max_pool_2d",
    "max_pool_2d_same_size",
    "pool_2d",
    "pool_3d",
]

PoolingMode_t = ("max", "sum", "average_inc_pad", "average_exc_pad")


def _new_names(new: dict[str, Any], old: dict[str, Any]) -> dict[str, Any]:
    """Theano's old argument names (ds, st, padding) beside its new ones; both at once are refused."""
    for (name, value), (old_name, old_value) in zip(new.items(), old.items(), strict=True):
        if old_value is None:
            continue
        if value is not None and not (name == "pad" and not any(value)):
            raise ValueError(f"You can't provide a tuple value to both '{name}' and '{old_name}'.")
        new[name] = old_value
    return new


def _pool(function: Any, ndim: int, input: Any, window: dict[str, Any], ignore_border: Any, mode: str) -> Any:
    pad = window["pad"]
    if pad is None or (isinstance(pad, (tuple, list)) and all(isinstance(n, int) and n == 0 for n in pad)):
        # an array: Aesara compares the entries of a tuple with the window's, which may be symbolic
        window["pad"] = np.zeros(ndim, "int64")
    with warnings.catch_warnings():
        # Theano warned that the default of ignore_border will change; it never did
        warnings.simplefilter("ignore", DeprecationWarning)
        return function(
            input, ws=window["ws"], ignore_border=ignore_border, stride=window["stride"], pad=window["pad"], mode=mode
        )


def pool_2d(
    input: Any,
    ws: Any = None,
    ignore_border: bool | None = None,
    stride: Any = None,
    pad: Any = (0, 0),
    mode: str = "max",
    ds: Any = None,
    st: Any = None,
    padding: Any = None,
) -> Any:
    """Pool the last two axes with windows `ws` at steps `stride` (None: `ws`).

    `ds`, `st` and `padding` are the names of `ws`, `stride` and `pad` before Theano 0.9. `ignore_border` True drops
    windows that do not fit; its default, False, keeps them. `mode` is ``"max"``, ``"sum"``, ``"average_inc_pad"`` or
    ``"average_exc_pad"``. Pads at least as large as the stride raise NotImplementedError, as in Theano.
    """
    window = _new_names({"ws": ws, "stride": stride, "pad": pad}, {"ds": ds, "st": st, "padding": padding})
    return _pool(aesara_pool.pool_2d, 2, input, window, ignore_border, mode)


def pool_3d(
    input: Any,
    ws: Any = None,
    ignore_border: bool | None = None,
    stride: Any = None,
    pad: Any = (0, 0, 0),
    mode: str = "max",
    ds: Any = None,
    st: Any = None,
    padding: Any = None,
) -> Any:
    """`pool_2d` over the last three axes."""
    window = _new_names({"ws": ws, "stride": stride, "pad": pad}, {"ds": ds, "st": st, "padding": padding})
    return _pool(aesara_pool.pool_3d, 3, input, window, ignore_border, mode)


def max_pool_2d(
    input: Any,
    ds: Any,
    ignore_border: bool | None = None,
    st: Any = None,
    padding: Any = (0, 0),
    mode: str = "max",
) -> Any:
    """``theano.tensor.signal.downsample.max_pool_2d``: `pool_2d` under its first name."""
    return pool_2d(input, ds, ignore_border, st, padding, mode)


class DownsampleFactorMax(Pool):
    """The first name of the Op `Pool`, with its window in the constructor."""

    def __init__(self, ds: Any, ignore_border: bool = False, st: Any = None, padding: Any = (0, 0), mode: str = "max"):
        super().__init__(ignore_border=ignore_border, mode=mode, ndim=len(ds))
        self.window = (tuple(ds), tuple(st or ds), tuple(padding))

    def __call__(self, x: Any) -> Any:
        ws, stride, pad = self.window
        return Pool(ignore_border=self.ignore_border, mode=self.mode, ndim=self.ndim)(x, ws, stride, pad)

    @staticmethod
    def out_shape(  # type: ignore[override]  # as it was before `Pool` took its place
        imgshape: Any, ds: Any, ignore_border: bool = False, st: Any = None, padding: Any = (0, 0)
    ) -> Any:
        return Pool.out_shape(imgshape, ds, ignore_border, st, padding, ndim=len(ds))
