"""Layers that join, cut and reshape blobs, and that reduce them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from deconv_legacy import engine
from deconv_legacy.caffe.registry import layer_type
from deconv_legacy.caffe.types._common import axis_of, need
from deconv_legacy.engine import aesara
from deconv_legacy.errors import MismatchError, SizeError
from deconv_legacy.layers import ConcatLayer, EltwiseLayer, ExpressionLayer, Layer
from deconv_legacy.layers.expression import known_shape, sizes_of

at = aesara.tensor

__all__: list[str] = []


@layer_type("Eltwise")
def _eltwise(spec: Any, bottoms: Sequence[Layer], build: Any) -> Layer:
    need(spec, bottoms, 2, 1 << 30)
    param = spec.eltwise_param
    operation, coeff = ("prod", "sum", "max")[param.operation], list(param.coeff)
    if operation == "max" and len(coeff) == len(bottoms):
        coeff = []  # Caffe takes them, and does nothing with them
    return EltwiseLayer(bottoms, operation, coeff or None, spec.name)


@layer_type("Concat")
def _concat(spec: Any, bottoms: Sequence[Layer], build: Any) -> Layer:
    need(spec, bottoms, 1, 1 << 30)
    param = spec.concat_param
    if param.HasField("concat_dim") and param.HasField("axis"):
        raise MismatchError(f"layer {spec.name!r}: give axis or concat_dim, not both")
    return ConcatLayer(bottoms, param.concat_dim if param.HasField("concat_dim") else param.axis, spec.name)


@layer_type("Split")
def _split(spec: Any, bottoms: Sequence[Layer], build: Any) -> Layer:
    need(spec, bottoms, 1)
    # variables of their own, so that each has its own gradient; compiled, they are one
    return ExpressionLayer(bottoms, lambda x: [at.tensor_copy(x) for _ in spec.top], spec.name, keeps_coordinates=True)


@layer_type("Silence")
def _silence(spec: Any, bottoms: Sequence[Layer], build: Any) -> Layer:
    need(spec, bottoms, 1, 1 << 30)
    return ExpressionLayer(bottoms, lambda *_: [], spec.name)


@layer_type("Slice")
def _slice(spec: Any, bottoms: Sequence[Layer], build: Any) -> Layer:
    need(spec, bottoms, 1)
    param, source, where = spec.slice_param, bottoms[0], f"{spec.name} ({spec.type})"
    if param.HasField("slice_dim") and param.HasField("axis"):
        raise MismatchError(f"layer {spec.name!r}: give axis or slice_dim, not both")
    axis = axis_of(spec, source, param.slice_dim if param.HasField("slice_dim") else param.axis)
    size, count = source.output_shape[axis], len(spec.top)
    if not count:
        raise MismatchError(
            f"layer {spec.name!r}: Slice layer produces at least 1 top blob(s) as output, none is given"
        )
    points = list(param.slice_point)
    if points and len(points) != count - 1:
        raise SizeError(f"{len(points)} slice points for {count} tops, {count - 1} are needed", axis=axis, where=where)
    if not points:
        if size is not None and size % count:
            raise SizeError(f"{size} cannot be cut into {count} equal parts", axis=axis, where=where)
    elif points != sorted(set(points)) or points[0] < 1 or (size is not None and points[-1] >= size):
        raise SizeError(f"slice points {points} must rise, from 1 to below {size}", axis=axis, where=where)

    def slices(x: Any) -> list[Any]:
        sizes = sizes_of(x)
        inner = points or [sizes[axis] // count * i for i in range(1, count)]
        ends = [*inner, sizes[axis]]
        starts = [0, *inner]
        rest = x.ndim - axis - 1
        return [
            engine.crop(x, [end - start, *sizes[axis + 1 :]], axis, [start, *[0] * rest])
            for start, end in zip(starts, ends, strict=True)
        ]

    return ExpressionLayer(source, slices, spec.name)


@layer_type("Flatten")
def _flatten(spec: Any, bottoms: Sequence[Layer], build: Any) -> Layer:
    need(spec, bottoms, 1)
    start, end = (axis_of(spec, bottoms[0], a) for a in (spec.flatten_param.axis, spec.flatten_param.end_axis))

    if start > end + 1:
        raise SizeError(f"axis {start} lies behind end_axis {end}", where=f"{spec.name} ({spec.type})")

    def flatten(x: Any) -> Any:
        sizes = sizes_of(x)
        shape = [*sizes[:start], math.prod(sizes[start : end + 1]), *sizes[end + 1 :]]
        return known_shape(x.reshape(shape, ndim=len(shape)), shape)

    return ExpressionLayer(bottoms, flatten, spec.name)


@layer_type("Reshape")
def _reshape(spec: Any, bottoms: Sequence[Layer], build: Any) -> Layer:
    need(spec, bottoms, 1)
    param, ndim, where = spec.reshape_param, bottoms[0].output.ndim, f"{spec.name} ({spec.type})"
    dims = list(param.shape.dim)
    first = param.axis if param.axis >= 0 else ndim + param.axis + 1
    last = ndim if param.num_axes == -1 else first + param.num_axes
    if not 0 <= first <= last <= ndim:
        raise SizeError(f"axis {param.axis} and num_axes {param.num_axes} of a blob of {ndim} axes", where=where)
    if dims.count(-1) > 1 or min(dims, default=0) < -1:
        raise SizeError(f"dims {dims}: each is positive, 0 (as before), or once -1 (what is left)", where=where)
    if any(dim == 0 and first + i >= ndim for i, dim in enumerate(dims)):
        raise SizeError(f"dims {dims}: a 0 that has no axis to copy from", where=where)

    def reshape(x: Any) -> Any:
        sizes = sizes_of(x)
        new: list[Any] = [sizes[first + i] if dim == 0 else dim for i, dim in enumerate(dims)]
        if -1 in dims:
            known = math.prod(n for n, dim in zip(new, dims, strict=True) if dim != -1)
            whole = math.prod(sizes[first:last])
            if isinstance(known, int) and isinstance(whole, int) and (not known or whole % known):
                raise SizeError(f"bottom count {whole} must be divisible by the product {known}", where=where)
            new[dims.index(-1)] = whole // known
        shape = [*sizes[:first], *new, *sizes[last:]]
        before, after = math.prod(sizes), math.prod(shape)
        if isinstance(before, int) and isinstance(after, int) and before != after:
            raise SizeError(f"output count must match input count: {before} and {after}", where=where)
        return known_shape(x.reshape(shape, ndim=len(shape)), shape)

    return ExpressionLayer(bottoms, reshape, spec.name)


@layer_type("Tile")
def _tile(spec: Any, bottoms: Sequence[Layer], build: Any) -> Layer:
    need(spec, bottoms, 1)
    axis, tiles = axis_of(spec, bottoms[0], spec.tile_param.axis), spec.tile_param.tiles
    if tiles < 1:
        raise SizeError(f"tiles {tiles}: at least 1", where=f"{spec.name} ({spec.type})")

    def tile(x: Any) -> Any:
        sizes = sizes_of(x)
        repeats = [1] * axis + [tiles] + [1] * (x.ndim - axis - 1)
        return known_shape(at.tile(x, repeats), [*sizes[:axis], sizes[axis] * tiles, *sizes[axis + 1 :]])

    return ExpressionLayer(bottoms, tile, spec.name)


@layer_type("Reduction")
def _reduction(spec: Any, bottoms: Sequence[Layer], build: Any) -> Layer:
    need(spec, bottoms, 1)
    param = spec.reduction_param
    axis = axis_of(spec, bottoms[0], param.axis)

    def reduce(x: Any) -> Any:
        axes = tuple(range(axis, x.ndim))
        y = {1: lambda: x, 2: lambda: abs(x), 3: lambda: at.square(x), 4: lambda: x}[param.operation]()
        total = y.sum(axis=axes) * np.float32(param.coeff)
        return total / at.cast(math.prod(sizes_of(x)[axis:]), x.dtype) if param.operation == 4 else total

    return ExpressionLayer(bottoms, reduce, spec.name)


@layer_type("ArgMax")
def _argmax(spec: Any, bottoms: Sequence[Layer], build: Any) -> Layer:
    need(spec, bottoms, 1)
    param, source = spec.argmax_param, bottoms[0]
    with_axis, k = param.HasField("axis"), param.top_k
    axis = axis_of(spec, source, param.axis) if with_axis else 1
    count = math.prod(sizes_of(source.output)[axis : axis + 1 if with_axis else None])
    if k < 1 or (isinstance(count, int) and k > count):
        raise SizeError(f"top_k {k} must be 1 to {count}", where=f"{spec.name} ({spec.type})")

    def argmax(x: Any) -> Any:
        sizes = sizes_of(x)
        rows = at.moveaxis(x, axis, -1) if with_axis else x.reshape((sizes[0], math.prod(sizes[1:])))
        # Caffe sorts (value, index) downwards: of equal values the last comes first
        turned = rows[..., ::-1]
        if k == 1:
            best = at.argmax(turned, axis=-1)[..., None]
            values = at.max(rows, axis=-1)[..., None]
        else:
            best = at.argsort(-turned, axis=-1, kind="mergesort")[..., :k]
            values = -at.sort(-rows, axis=-1)[..., :k]
        indices = at.cast(rows.shape[-1] - 1 - best, x.dtype)
        if with_axis:
            result = at.moveaxis(values if param.out_max_val else indices, -1, axis)
            return known_shape(result, [*sizes[:axis], k, *sizes[axis + 1 :]])
        parts = [indices, values] if param.out_max_val else [indices]
        shape = [sizes[0], len(parts), k, *[1] * max(x.ndim - 3, 0)]
        return known_shape(at.stack(parts, axis=1).reshape(shape, ndim=len(shape)), shape)

    return ExpressionLayer(source, argmax, spec.name)
