"""Graph rewrites: Aesara's abstract convolutions become ours, and a bias and a ReLU join their convolution.

Registered when the package is imported, under the name ``deconv_legacy``; a mode may exclude that name.
"""

from __future__ import annotations

import numpy as np

from deconv_legacy.engine import elementwise, sizes
from deconv_legacy.engine._aesara import aesara
from deconv_legacy.engine.convolution import Conv, ConvInputGradient, ConvWeightGradient, FusedConv
from deconv_legacy.engine.relu import Relu
from deconv_legacy.engine.unshared import UnsharedConv, UnsharedConvInputGradient, UnsharedConvWeightGradient
from deconv_legacy.engine.update import work_in_place
from deconv_legacy.errors import SizeError

at = aesara.tensor
abstract = aesara.tensor.nnet.abstract_conv
node_rewriter = aesara.graph.rewriting.basic.node_rewriter
copy_stack_trace = aesara.graph.rewriting.basic.copy_stack_trace

__all__ = ["engine_op", "register"]

_OURS = {
    abstract.AbstractConv2d: Conv,
    abstract.AbstractConv3d: Conv,
    abstract.AbstractConv2d_gradInputs: ConvInputGradient,
    abstract.AbstractConv3d_gradInputs: ConvInputGradient,
    abstract.AbstractConv2d_gradWeights: ConvWeightGradient,
    abstract.AbstractConv3d_gradWeights: ConvWeightGradient,
}

_UNSHARED = {
    Conv: UnsharedConv,
    ConvInputGradient: UnsharedConvInputGradient,
    ConvWeightGradient: UnsharedConvWeightGradient,
}


class _SizeErrorInGraph(SizeError, AssertionError):
    """A SizeError that reaches the user: of what rewrites raise, Aesara logs everything but AssertionErrors.

    Otherwise Aesara's own convolution would be tried next, which a stride of 0 kills.
    """

    def __init__(self, error: SizeError):
        super().__init__(
            error.cause,
            axis=error.axis,
            actual=error.actual,
            computed=error.computed,
            legal=error.legal,
            where=error.where,
        )


def engine_op(op):
    """The Op of this engine that computes an AbstractConv Op of Aesara, from the same inputs."""
    kind = _OURS[type(op)]
    return (_UNSHARED[kind] if op.unshared else kind)(
        op.convdim, op.border_mode, op.subsample, op.filter_dilation, op.num_groups, op.filter_flip
    )


@node_rewriter(list(_OURS))
def use_our_convolutions(fgraph, node):
    """Replace an AbstractConv node of Aesara by the Op of this engine that computes it."""
    if any(v.dtype not in ("float32", "float64") for v in node.inputs[:2]):
        return None
    try:
        result = engine_op(node.op)(*node.inputs)
    except SizeError as error:
        raise _SizeErrorInGraph(error) from None
    if result.dtype != node.outputs[0].dtype:
        result = at.cast(result, node.outputs[0].dtype)
    if not node.outputs[0].type.is_super(result.type):
        result = node.outputs[0].type.filter_variable(result, allow_convert=True)
    copy_stack_trace(node.outputs[0], result)
    return [result]


def _bias_of(variable, ndim):
    """The vector b of ``b.dimshuffle('x', 0, 'x', ...)``; None for anything else."""
    node = variable.owner
    if node is None or not isinstance(node.op, at.elemwise.DimShuffle):
        return None
    if node.op.new_order != ("x", 0, *("x",) * ndim) or node.inputs[0].ndim != 1:
        return None
    return node.inputs[0]


def _only_client(fgraph, variable):
    return len(fgraph.clients[variable]) == 1


@node_rewriter([aesara.tensor.elemwise.Elemwise])
def fuse_bias(fgraph, node):
    """``conv(x, w) + b`` in one pass, where nothing else reads the plain convolution."""
    if not isinstance(node.op.scalar_op, aesara.scalar.Add) or len(node.inputs) != 2:
        return None
    for plain, other in (node.inputs, node.inputs[::-1]):
        if plain.owner is None or not isinstance(plain.owner.op, Conv) or not _only_client(fgraph, plain):
            continue
        bias = _bias_of(other, plain.owner.op.ndim)
        if bias is None or bias.dtype != plain.dtype:
            continue
        result = FusedConv.of(plain.owner.op, relu=False)(*plain.owner.inputs, bias)
        if not node.outputs[0].type.is_super(result.type):
            return None
        copy_stack_trace([plain, node.outputs[0]], result)
        return [result]
    return None


@node_rewriter([Relu])
def fuse_relu(fgraph, node):
    """``relu(conv(x, w) + b)`` in one pass, where nothing else reads what is inside."""
    (value,) = node.inputs
    inner = value.owner
    if inner is None or not isinstance(inner.op, FusedConv) or inner.op.relu or not _only_client(fgraph, value):
        return None
    result = FusedConv.of(inner.op, relu=True)(*inner.inputs)
    if not node.outputs[0].type.is_super(result.type):
        return None
    copy_stack_trace([value, node.outputs[0]], result)
    return [result]


@node_rewriter([Conv])
def share_module(fgraph, node):
    """A plain convolution beside fused ones is one of them without a bias: it needs no C module of its own."""
    if not any(isinstance(other.op, FusedConv) for other in fgraph.apply_nodes):
        return None
    none = at.constant(np.zeros(0, node.outputs[0].dtype))
    result = FusedConv.of(node.op, relu=False)(*node.inputs, none)
    copy_stack_trace(node.outputs, result)
    return [result]


def register() -> None:
    """Add the rewrites to Aesara's database, once."""
    from aesara.compile.mode import optdb
    from aesara.graph.rewriting.basic import in2out

    if "deconv_legacy_convolutions" in optdb._names:
        return
    optdb.register(
        "deconv_legacy_convolutions",
        in2out(use_our_convolutions, name="deconv_legacy_convolutions", failure_callback=None),
        "fast_run",
        "fast_compile",
        "deconv_legacy",
        position=1.9,  # before specialize_device, where Aesara's own convolutions would be tried
    )
    optdb.register(
        "deconv_legacy_fusion",
        in2out(fuse_bias, fuse_relu, name="deconv_legacy_fusion"),
        "fast_run",
        "deconv_legacy",
        position=48.5,  # after all algebra, before Aesara fuses elementwise Ops (49)
    )
    optdb.register(
        "deconv_legacy_modules",
        in2out(share_module, name="deconv_legacy_modules"),
        "fast_run",
        "deconv_legacy",
        "cxx_only",
        position=48.6,
    )
    optdb.register(
        "deconv_legacy_updates",
        in2out(work_in_place, name="deconv_legacy_updates", ignore_newtrees=True),
        "fast_run",
        "inplace",
        "deconv_legacy",
        position=75,
    )
    sizes.register(optdb)
    elementwise.register(optdb)
