"""``tf.image``: TensorFlow 1's resizing."""

from __future__ import annotations

from typing import Any

from deconv_legacy import engine
from deconv_legacy.errors import SizeError
from deconv_legacy.tf._layout import Layout, shape_entries, tensor

__all__ = ["resize_bilinear", "resize_nearest_neighbor"]


def _arguments(where: str, images: Any, size: Any) -> tuple[Layout, Any, Any]:
    layout = Layout(2)
    try:
        x = layout.need_rank(tensor(images), "images")
        return layout, layout.to_engine(x), shape_entries(size, 2, "size")
    except SizeError as error:
        raise error.at(where) from None


def resize_nearest_neighbor(images: Any, size: Any, name: str | None = None) -> Any:
    """``tf.image.resize_nearest_neighbor`` of ``[N, H, W, C]`` to `size` (rows, columns): cell ``floor(i H / rows)``.

    Examples
    --------
    >>> import numpy as np
    >>> from deconv_legacy import tf
    >>> tf.resize_nearest_neighbor(np.array([[[[1.0], [2.0]]]]), [1, 4]).eval().ravel()
    array([1., 1., 2., 2.])
    """
    layout, x, sizes = _arguments(name or "resize_nearest_neighbor", images, size)
    return layout.from_engine(engine.nearest_resize(x, sizes))


def resize_bilinear(
    images: Any,
    size: Any,
    align_corners: bool = False,
    name: str | None = None,
    half_pixel_centers: bool = False,
) -> Any:
    """``tf.image.resize_bilinear`` of ``[N, H, W, C]`` to `size` (rows, columns).

    By default output cell i lies at ``i H / rows``, TensorFlow 1's convention; with `align_corners` at
    ``i (H - 1) / (rows - 1)``, with `half_pixel_centers` at ``(i + 1/2) H / rows - 1/2``, as in TensorFlow 2.

    Examples
    --------
    >>> import numpy as np
    >>> from deconv_legacy import tf
    >>> x = np.array([[[[0.0], [2.0]]]])
    >>> tf.resize_bilinear(x, [1, 4]).eval().ravel()
    array([0., 1., 2., 2.])
    >>> tf.resize_bilinear(x, [1, 3], align_corners=True).eval().ravel()
    array([0., 1., 2.])
    """
    where = name or "resize_bilinear"
    if align_corners and half_pixel_centers:
        raise SizeError("half_pixel_centers and align_corners exclude one another", where=where)
    layout, x, sizes = _arguments(where, images, size)
    coordinates = "align_corners" if align_corners else "half_pixel" if half_pixel_centers else "corner"
    return layout.from_engine(engine.linear_resize(x, sizes, coordinates))
