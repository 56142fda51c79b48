"""``theano.tensor.nnet.conv.conv2d``, the first interface: true convolution, with logical (zero-filled) shapes."""

from __future__ import annotations

from typing import Any

from aesara.tensor.nnet.conv import ConvOp

from deconv_legacy.engine import aesara
from deconv_legacy.theano.old import abstract_conv

__all__ = ["ConvOp", "conv2d"]

at = aesara.tensor


def _constants(name: str, shape: Any, length: int) -> tuple[Any, ...]:
    """A shape as ints and None; what is neither raises NotScalarConstantError, as in Theano."""
    if shape is None:
        return (None,) * length
    if len(shape) != length:
        raise ValueError(f"{name} has {len(shape)} entries, {tuple(shape)}; {length} are needed")
    numbers = []
    for entry in shape:
        if entry is not None:
            try:
                entry = int(at.get_scalar_constant_value(at.as_tensor_variable(entry)))
            except at.exceptions.NotScalarConstantError:
                raise at.exceptions.NotScalarConstantError(
                    f"The convolution need that the shape information are constant values. We got {entry} for the "
                    f"{name} parameter"
                ) from None
        numbers.append(entry)
    return tuple(numbers)


def _spread(x: Any, physical: tuple[Any, Any], logical: Any, last: bool) -> Any:
    """`x` with zeros between its last two axes' entries up to a logical size; `last` aligns at the end."""
    if logical is None or any(p is None or n is None for p, n in zip(physical, logical, strict=True)):
        if logical is None or all(n is None for n in logical):
            return x
        raise ValueError("logical shapes need the shapes themselves: give image_shape and filter_shape in full")
    if tuple(logical) == tuple(physical):
        return x
    places: list[Any] = [...]
    for p, n in zip(physical, logical, strict=True):
        step = -(-n // p)
        start = (n - p * step - 1 + step) % step if last else 0
        places.append(slice(start, None, step))
    buffer = at.zeros((x.shape[0], x.shape[1], *logical), dtype=x.dtype)
    return at.set_subtensor(buffer[tuple(places)], x)


def conv2d(
    input: Any,
    filters: Any,
    image_shape: Any = None,
    filter_shape: Any = None,
    border_mode: str = "valid",
    subsample: Any = (1, 1),
    **kargs: Any,
) -> Any:
    """Convolve `input` ``(N, C, H, W)`` with flipped `filters` ``(M, C, kh, kw)``, ``"valid"`` or ``"full"``.

    ``imshp_logical`` ``(C, H, W)`` and ``kshp_logical`` ``(kh, kw)`` first spread image and filters with zeros to
    these sizes (``kshp_logical_top_aligned``: the filters' first entry stays first), which was how 2010-2014 code
    up-sampled. Other keywords chose among implementations and are ignored.
    """
    if border_mode not in ("valid", "full"):
        raise ValueError(f"invalid border_mode {border_mode!r}, which must be either 'valid' or 'full'")
    input, filters = at.as_tensor_variable(input), at.as_tensor_variable(filters)
    image_shape, filter_shape = (
        _constants("image_shape", image_shape, 4),
        _constants("filter_shape", filter_shape, 4),
    )
    unknown = set(kargs) - {
        "imshp_logical",
        "kshp_logical",
        "kshp_logical_top_aligned",
        "unroll_batch",
        "unroll_kern",
        "unroll_patch",
        "verbose",
        "version",
        "direction_hint",
        "openmp",
        "dx",
        "dy",
    }
    if unknown:
        raise TypeError(f"conv2d got unexpected keyword arguments {sorted(unknown)}")
    if None not in (image_shape[1], filter_shape[1]) and image_shape[1] != filter_shape[1]:
        raise AssertionError(f"image_shape {image_shape} and filter_shape {filter_shape} differ in channels")
    if kargs.get("imshp_logical") is not None:
        logical = kargs["imshp_logical"][1:]
        input = _spread(input, image_shape[2:], logical, last=False)
        image_shape = (*image_shape[:2], *logical)
    if kargs.get("kshp_logical") is not None:
        top = kargs.get("kshp_logical_top_aligned", True)
        filters = _spread(filters, filter_shape[2:], kargs["kshp_logical"], last=not top)
        filter_shape = (*filter_shape[:2], *kargs["kshp_logical"])
    return abstract_conv.conv2d(input, filters, image_shape, filter_shape, border_mode, subsample)
