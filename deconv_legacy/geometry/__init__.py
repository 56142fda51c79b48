"""Every question about sizes: integers and fractions only, exact, for all front ends.

All functions are about spatial axes. A function of one axis takes numbers; its sibling for all axes
(``..._shape``, ``..._all_...``) takes, for each argument, one value for every axis or a sequence of one each.
A *border mode* is a name of :data:`BORDER_MODES`, one pad for both sides, or a pair (before, after); it
always describes the forward convolution, also where the question is about the deconvolution that mirrors it.

Sizes that are not known yet are None, and stay None. What cannot be raises
:class:`deconv_legacy.errors.SizeError`. The bare formulas, which symbolic sizes can use too, are in
:mod:`deconv_legacy.geometry.formulas`.
"""

from deconv_legacy.geometry import formulas
from deconv_legacy.geometry._arguments import (
    BORDER_MODES,
    AxisBorder,
    as_int,
    as_size,
    axis_border,
    normalize_border_mode,
    normalize_pads,
    per_axis,
)
from deconv_legacy.geometry.chain import STEP_KINDS, Step, chain_sizes, mirror_output_sizes
from deconv_legacy.geometry.coord import CoordMap, coord_map, crop_offset, least_pad
from deconv_legacy.geometry.deconv import (
    DECONV_CONVENTIONS,
    check_deconv_output_size,
    deconv_default_size,
    deconv_output_shape,
    deconv_output_size,
    deconv_output_sizes,
    onnx_deconv_pads,
)
from deconv_legacy.geometry.overlap import overlap_counts, overlap_pattern, overlaps_evenly
from deconv_legacy.geometry.receptive import ReceptiveField, deconv_taps, inputs_reaching, receptive_field
from deconv_legacy.geometry.relations import StretchedConvolution, equivalent_convolution, size_remainder
from deconv_legacy.geometry.sizes import (
    POOL_ROUNDINGS,
    conv_output_shape,
    conv_output_size,
    crop_range,
    dilated_kernel,
    interp_output_size,
    pool_output_shape,
    pool_output_size,
    resolve_all_pads,
    resolve_pads,
)

__all__ = [
    "BORDER_MODES",
    "DECONV_CONVENTIONS",
    "POOL_ROUNDINGS",
    "STEP_KINDS",
    "AxisBorder",
    "CoordMap",
    "ReceptiveField",
    "Step",
    "StretchedConvolution",
    "as_int",
    "as_size",
    "axis_border",
    "chain_sizes",
    "check_deconv_output_size",
    "conv_output_shape",
    "conv_output_size",
    "coord_map",
    "crop_offset",
    "crop_range",
    "deconv_default_size",
    "deconv_output_shape",
    "deconv_output_size",
    "deconv_output_sizes",
    "deconv_taps",
    "dilated_kernel",
    "equivalent_convolution",
    "formulas",
    "inputs_reaching",
    "interp_output_size",
    "least_pad",
    "mirror_output_sizes",
    "normalize_border_mode",
    "normalize_pads",
    "onnx_deconv_pads",
    "overlap_counts",
    "overlap_pattern",
    "overlaps_evenly",
    "per_axis",
    "pool_output_shape",
    "pool_output_size",
    "receptive_field",
    "resolve_all_pads",
    "resolve_pads",
    "size_remainder",
]
