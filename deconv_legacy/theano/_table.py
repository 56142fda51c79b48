"""Where each name of Theano lives now.

A module of Theano has *sources*, the modules in which its names are looked up in order: ours from
`deconv_legacy.theano.old` (what Aesara no longer has, or does otherwise), then Aesara's. Names that moved or were
renamed stand in `MOVED`. ``names.txt`` lists the public names of Theano 1.0.5, module by module, those of modules with
a slash: it decides what ``dir()`` and ``import *`` show, and what an error can say.
"""

from __future__ import annotations

import functools
import importlib
import types
import warnings
from pathlib import Path
from typing import NamedTuple

__all__ = ["MOVED", "SOURCES", "Home", "explain", "find", "known_names", "served_names", "star_names"]

_OLD = "deconv_legacy.theano.old"


class Home(NamedTuple):
    """A module, and a name in it; name None is the module itself."""

    module: str
    name: str | None

    @property
    def target(self) -> str:
        return self.module if self.name is None else f"{self.module}.{self.name}"


_GRAPH = ("aesara.graph.basic", "aesara.graph.op", "aesara.graph.type", "aesara.graph.utils")
_GOF = (
    *_GRAPH,
    "aesara.graph.fg",
    "aesara.graph.features",
    "aesara.graph.destroyhandler",
    "aesara.graph.null_type",
    "aesara.graph.rewriting.basic",
    "aesara.graph.rewriting.db",
    "aesara.link.basic",
    "aesara.link.utils",
    "aesara.link.vm",
    "aesara.link.c.basic",
    "aesara.link.c.op",
    "aesara.link.c.type",
    "aesara.link.c.interface",
    "aesara.link.c.params_type",
    "aesara.link.c.cmodule",
)
_COMPILE = (
    "aesara.compile",
    "aesara.compile.function",
    "aesara.compile.function.types",
    "aesara.compile.function.pfunc",
    "aesara.compile.io",
    "aesara.compile.mode",
    "aesara.compile.ops",
    "aesara.compile.builders",
    "aesara.compile.debugmode",
    "aesara.compile.profiling",
    "aesara.compile.sharedvalue",
)
_TENSOR = (
    "aesara.tensor",
    "aesara.tensor.basic",
    "aesara.tensor.math",
    "aesara.tensor.shape",
    "aesara.tensor.subtensor",
    "aesara.tensor.elemwise",
    "aesara.tensor.type",
    "aesara.tensor.type_other",
    "aesara.tensor.var",
    "aesara.tensor.extra_ops",
    "aesara.tensor.blas",
    "aesara.tensor.io",
    "aesara.tensor.nlinalg",
    "aesara.tensor.sharedvar",
    "aesara.tensor.exceptions",
    "aesara.gradient",
    "aesara.raise_op",
    "aesara.printing",
)
_REWRITING = (
    "aesara.tensor.rewriting.basic",
    "aesara.tensor.rewriting.math",
    "aesara.tensor.rewriting.shape",
    "aesara.tensor.rewriting.subtensor",
    "aesara.tensor.rewriting.elemwise",
    "aesara.tensor.rewriting.extra_ops",
    "aesara.tensor.rewriting.uncanonicalize",
)
_NNET = (
    "aesara.tensor.nnet",
    "aesara.tensor.nnet.basic",
    "aesara.tensor.nnet.sigm",
    "aesara.tensor.nnet.batchnorm",
    "aesara.tensor.special",
)
_SCAN = ("aesara.scan.basic", "aesara.scan.views", "aesara.scan.utils", "aesara.scan.checkpoints", "aesara.scan.op")

# Theano's module: the modules that hold its names, in the order of search; "old.x" is deconv_legacy.theano.old.x
SOURCES: dict[str, tuple[str, ...]] = {
    "theano": ("old.toplevel", "old.function", "aesara", *_COMPILE, *_GOF, "aesara.gradient"),
    "theano.version": ("old.version",),
    "theano.configdefaults": ("old.configuration", "aesara.configdefaults", "aesara.configparser", "aesara.utils"),
    "theano.configparser": ("old.configuration", "aesara.configparser"),
    "theano.gradient": ("aesara.gradient", "old.toplevel", *_COMPILE, *_GOF),
    "theano.ifelse": ("aesara.ifelse", "old.gof", *_GOF),
    "theano.printing": ("old.printing", "aesara.printing", "aesara.graph.basic"),
    "theano.raise_op": ("aesara.raise_op",),
    "theano.updates": ("aesara.updates", "aesara.compile.sharedvalue"),
    "theano.pathparse": (),
    # --- compat
    "theano.compat": ("old.compat", "aesara.utils"),
    "theano.compat.six": ("old.six",),
    "theano.compat.six.moves": ("old.six_moves",),
    "theano.compat.python2x": ("old.compat",),
    # --- compile
    "theano.compile": (
        "old.compile",
        *_COMPILE,
        "old.tensor",
        *_TENSOR,
        "old.gof",
        *_GOF,
        "aesara.graph.rewriting.utils",
    ),
    "theano.compile.builders": ("aesara.compile.builders", *_COMPILE),
    "theano.compile.debugmode": ("old.printing", "aesara.compile.debugmode", *_COMPILE),
    "theano.compile.function": ("old.function", "aesara.compile.function", *_COMPILE),
    "theano.compile.function_module": ("old.compile", *_COMPILE, *_GOF, "aesara.graph.rewriting.utils"),
    "theano.compile.io": ("aesara.compile.io", *_COMPILE),
    "theano.compile.mode": ("old.compile", "aesara.compile.mode", *_COMPILE),
    "theano.compile.monitormode": ("aesara.compile.monitormode",),
    "theano.compile.nanguardmode": ("aesara.compile.nanguardmode", *_COMPILE),
    "theano.compile.ops": ("old.compile", "aesara.compile.ops", "old.tensor", "aesara.tensor.shape"),
    "theano.compile.pfunc": ("old.compile", "aesara.compile.function.pfunc", *_COMPILE, *_GRAPH),
    "theano.compile.profiling": ("aesara.compile.profiling", "aesara.scan.utils"),
    "theano.compile.sharedvalue": ("aesara.compile.sharedvalue", *_GOF),
    # --- d3viz
    "theano.d3viz": ("aesara.d3viz",),
    "theano.d3viz.d3viz": ("aesara.d3viz.d3viz",),
    "theano.d3viz.formatting": ("aesara.d3viz.formatting",),
    # --- gof
    "theano.gof": ("old.gof", *_GOF),
    "theano.gof.callcache": (),
    "theano.gof.cc": ("aesara.link.c.basic", *_GOF),
    "theano.gof.cmodule": ("aesara.link.c.cmodule", "aesara.utils"),
    "theano.gof.compiledir": ("aesara.compile.compiledir",),
    "theano.gof.compilelock": ("aesara.compile.compilelock",),
    "theano.gof.cutils": ("aesara.link.c.cutils",),
    "theano.gof.destroyhandler": ("aesara.graph.destroyhandler", "aesara.graph.utils"),
    "theano.gof.fg": ("aesara.graph.fg", "aesara.graph.utils"),
    "theano.gof.graph": ("old.graph", "aesara.graph.basic", "aesara.graph.rewriting.utils", "aesara.graph.utils"),
    "theano.gof.lazylinker_c": ("aesara.link.c.lazylinker_c",),
    "theano.gof.link": ("aesara.link.basic", "aesara.link.utils", "aesara.graph.type"),
    "theano.gof.null_type": ("aesara.graph.null_type",),
    "theano.gof.op": ("old.gof", "aesara.graph.op", "aesara.link.c.op", "aesara.link.c.interface", *_GOF),
    "theano.gof.opt": ("old.gof", "aesara.graph.rewriting.basic", "aesara.graph.rewriting.utils", *_GOF),
    "theano.gof.optdb": ("old.gof", "aesara.graph.rewriting.db", *_GOF),
    "theano.gof.params_type": ("aesara.link.c.params_type", *_GOF),
    "theano.gof.sched": ("aesara.graph.sched", "old.compat"),
    "theano.gof.toolbox": ("aesara.graph.features", *_GOF),
    "theano.gof.type": ("aesara.graph.type", "aesara.link.c.type", "old.gof", *_GOF),
    "theano.gof.unify": ("aesara.graph.rewriting.unify",),
    "theano.gof.utils": ("old.gof", "aesara.graph.utils", "aesara.utils", *_GOF),
    "theano.gof.vm": ("aesara.link.vm", "aesara.link.c.cvm"),
    # --- misc
    "theano.misc": (),
    "theano.misc.frozendict": ("aesara.misc.frozendict",),
    "theano.misc.may_share_memory": ("aesara.misc.may_share_memory",),
    "theano.misc.ordered_set": ("aesara.misc.ordered_set",),
    "theano.misc.pkl_utils": ("aesara.misc.pkl_utils",),
    "theano.misc.safe_asarray": ("aesara.misc.safe_asarray",),
    # --- scalar, sparse, typed_list
    "theano.scalar": ("old.scalar", "aesara.scalar", "aesara.scalar.basic", "aesara.scalar.math", *_GOF),
    "theano.scalar.basic": ("old.scalar", "aesara.scalar.basic", "aesara.scalar.math", *_GOF),
    "theano.scalar.basic_scipy": ("old.scalar", "aesara.scalar.math", "aesara.scalar.basic"),
    "theano.scalar.sharedvar": ("old.scalar", "aesara.scalar.sharedvar"),
    "theano.sparse": ("old.sparse", "aesara.sparse", "aesara.sparse.basic"),
    "theano.sparse.basic": ("old.sparse", "aesara.sparse.basic"),
    "theano.sparse.opt": ("aesara.sparse.rewriting", "aesara.sparse.basic"),
    "theano.sparse.sandbox": (),
    "theano.sparse.sandbox.sp": ("aesara.sparse.sandbox.sp", "aesara.sparse.basic"),
    "theano.sparse.sandbox.sp2": (
        "aesara.sparse.sandbox.sp2",
        "old.sparse",
        "aesara.sparse.basic",
        "aesara.sparse.rewriting",
    ),
    "theano.sparse.sharedvar": ("old.sparse", "aesara.sparse.sharedvar"),
    "theano.sparse.type": ("old.sparse", "aesara.sparse.type"),
    "theano.sparse.utils": ("aesara.sparse.utils",),
    "theano.typed_list": ("aesara.typed_list", "aesara.typed_list.basic"),
    "theano.typed_list.basic": ("aesara.typed_list.basic",),
    "theano.typed_list.opt": ("aesara.typed_list.rewriting",),
    "theano.typed_list.type": ("aesara.typed_list.type",),
    # --- scan
    "theano.scan_module": ("old.scan", *_SCAN),
    "theano.scan_module.scan": ("aesara.scan.basic", "old.scan", *_SCAN, "aesara.updates", "aesara.compile"),
    "theano.scan_module.scan_checkpoints": ("aesara.scan.checkpoints",),
    "theano.scan_module.scan_op": ("aesara.scan.op", *_SCAN, *_COMPILE, *_GOF),
    "theano.scan_module.scan_opt": ("aesara.scan.rewriting", *_SCAN, *_GOF),
    "theano.scan_module.scan_utils": ("old.scan", "aesara.scan.utils", *_SCAN, *_COMPILE, *_GRAPH),
    "theano.scan_module.scan_views": ("aesara.scan.views",),
    # --- tensor
    "theano.tensor": ("old.tensor", *_TENSOR, "old.gof", *_GOF),
    "theano.tensor.basic": ("old.tensor", *_TENSOR, "old.gof", *_GOF),
    "theano.tensor.blas": ("aesara.tensor.blas", "old.gof", *_GOF),
    "theano.tensor.blas_c": ("aesara.tensor.blas_c", "aesara.tensor.blas"),
    "theano.tensor.blas_headers": ("aesara.tensor.blas_headers",),
    "theano.tensor.blas_scipy": ("aesara.tensor.blas_scipy", "aesara.tensor.blas"),
    "theano.tensor.elemwise": ("old.tensor", "aesara.tensor.elemwise", "aesara.tensor.math", *_GOF),
    "theano.tensor.elemwise_cgen": ("aesara.tensor.elemwise_cgen",),
    "theano.tensor.extra_ops": ("old.tensor", "aesara.tensor.extra_ops", *_TENSOR),
    "theano.tensor.fft": ("aesara.tensor.fft",),
    "theano.tensor.fourier": ("aesara.tensor.fourier",),
    "theano.tensor.inplace": ("aesara.tensor.inplace",),
    "theano.tensor.io": ("old.tensor", "aesara.tensor.io"),
    "theano.tensor.nlinalg": ("old.tensor", "aesara.tensor.nlinalg", "aesara.tensor.basic"),
    "theano.tensor.opt": ("old.gof", *_REWRITING, *_TENSOR, *_GOF),
    "theano.tensor.opt_uncanonicalize": ("aesara.tensor.rewriting.uncanonicalize",),
    "theano.tensor.raw_random": ("old.raw_random",),
    "theano.tensor.shared_randomstreams": ("old.raw_random",),
    "theano.tensor.randomstreams": ("old.raw_random",),
    "theano.tensor.sharedvar": ("aesara.tensor.sharedvar", "aesara.compile"),
    "theano.tensor.slinalg": ("aesara.tensor.slinalg",),
    "theano.tensor.sort": ("aesara.tensor.sort", *_GOF),
    "theano.tensor.subtensor": ("old.tensor", "aesara.tensor.subtensor", *_TENSOR),
    "theano.tensor.type": ("aesara.tensor.type", *_GOF),
    "theano.tensor.type_other": ("aesara.tensor.type_other", *_GOF),
    "theano.tensor.utils": ("aesara.tensor.utils", "aesara.utils"),
    "theano.tensor.var": ("old.tensor", "aesara.tensor.var"),
    "theano.tensor.xlogx": ("aesara.tensor.xlogx",),
    # --- tensor.nnet
    "theano.tensor.nnet": ("old.nnet", "old.conv", "old.conv3d", *_NNET),
    "theano.tensor.nnet.Conv3D": ("old.conv3d",),
    "theano.tensor.nnet.ConvTransp3D": ("old.conv3d",),
    "theano.tensor.nnet.ConvGrad3D": ("old.conv3d",),
    "theano.tensor.nnet.abstract_conv": (
        "old.abstract_conv",
        "aesara.tensor.nnet.abstract_conv",
        "old.tensor",
        *_TENSOR,
    ),
    "theano.tensor.nnet.blocksparse": ("aesara.tensor.nnet.blocksparse",),
    "theano.tensor.nnet.bn": ("aesara.tensor.nnet.batchnorm", *_GOF),
    "theano.tensor.nnet.conv": ("old.nnet_conv", "aesara.tensor.nnet.conv", "old.tensor"),
    "theano.tensor.nnet.conv3d2d": ("aesara.tensor.nnet.conv3d2d",),
    "theano.tensor.nnet.corr": ("old.corr", "aesara.tensor.nnet.corr"),
    "theano.tensor.nnet.corr3d": ("old.corr", "aesara.tensor.nnet.corr3d"),
    "theano.tensor.nnet.ctc": ("aesara.tensor.nnet.ctc",),
    "theano.tensor.nnet.neighbours": ("aesara.tensor.nnet.neighbours",),
    "theano.tensor.nnet.nnet": ("old.nnet", *_NNET, *_TENSOR, *_GOF),
    "theano.tensor.nnet.opt": (
        "old.corr",
        "aesara.tensor.nnet.rewriting",
        "aesara.tensor.nnet.opt",
        "aesara.tensor.nnet.corr3d",
        "old.gof",
        *_GOF,
    ),
    "theano.tensor.nnet.sigm": (
        "old.nnet",
        "aesara.tensor.nnet.sigm",
        "aesara.tensor.math",
        "aesara.tensor.rewriting.math",
        *_GOF,
    ),
    # --- tensor.signal
    "theano.tensor.signal": ("old.pool",),
    "theano.tensor.signal.conv": ("aesara.tensor.signal.conv",),
    "theano.tensor.signal.downsample": ("old.pool", "aesara.tensor.signal.pool"),
    "theano.tensor.signal.pool": ("old.pool", "aesara.tensor.signal.pool", *_GOF),
    # --- sandbox
    "theano.sandbox": (),
    "theano.sandbox.blocksparse": ("aesara.tensor.nnet.blocksparse",),
    "theano.sandbox.conv": ("old.nnet_conv",),
    "theano.sandbox.fourier": ("aesara.sandbox.fourier",),
    "theano.sandbox.linalg": (
        "old.linalg",
        "aesara.sandbox.linalg",
        "aesara.tensor.nlinalg",
        "aesara.tensor.slinalg",
        "aesara.tensor.basic",
    ),
    "theano.sandbox.linalg.ops": (
        "old.linalg",
        "aesara.sandbox.linalg.ops",
        "aesara.tensor.nlinalg",
        "aesara.tensor.slinalg",
        "aesara.tensor.basic",
    ),
    "theano.sandbox.multinomial": ("aesara.sandbox.multinomial",),
    "theano.sandbox.neighbours": ("aesara.tensor.nnet.neighbours",),
    "theano.sandbox.rng_mrg": ("old.rng_mrg", "aesara.sandbox.rng_mrg", "old.gof", *_GOF),
    "theano.sandbox.softsign": ("aesara.tensor.nnet.basic",),
    "theano.sandbox.solve": ("aesara.sandbox.solve",),
    # --- the two GPU back-ends, on the CPU
    "theano.sandbox.cuda": ("old.cuda",),
    "theano.sandbox.cuda.basic_ops": ("old.cuda",),
    "theano.sandbox.cuda.blas": ("old.gpu_blas", "old.cuda"),
    "theano.sandbox.cuda.dnn": ("old.dnn", "old.cuda"),
    "theano.sandbox.cuda.fftconv": ("old.fftconv",),
    "theano.sandbox.cuda.neighbours": ("old.cuda",),
    "theano.sandbox.cuda.nnet": ("old.cuda",),
    "theano.sandbox.cuda.opt": ("old.cuda",),
    "theano.sandbox.cuda.rng_curand": ("old.rng_mrg",),
    "theano.sandbox.cuda.type": ("old.cuda",),
    "theano.sandbox.cuda.var": ("old.cuda",),
    "theano.sandbox.gpuarray": ("old.gpuarray",),
    "theano.sandbox.gpuarray.basic_ops": ("old.gpuarray",),
    "theano.sandbox.gpuarray.blas": ("old.gpu_blas", "old.gpuarray"),
    "theano.sandbox.gpuarray.dnn": ("old.dnn", "old.gpuarray"),
    "theano.sandbox.gpuarray.type": ("old.gpuarray",),
    "theano.gpuarray": ("old.gpuarray",),
    "theano.gpuarray.basic_ops": ("old.gpuarray",),
    "theano.gpuarray.blas": ("old.gpu_blas", "old.gpuarray"),
    "theano.gpuarray.dnn": ("old.dnn", "old.gpuarray"),
    "theano.gpuarray.type": ("old.gpuarray",),
    # --- what libraries' own tests import
    "theano.tests": (),
    "theano.tests.unittest_tools": ("old.unittest_tools",),
}

# Names that have another name, or a home outside their module's sources. "*" holds for every module and comes before
# its sources; "**" comes last.
MOVED: dict[str, dict[str, str]] = {
    "*": {
        "theano": "theano:",
        "gof": "theano.gof:",
        "config": "deconv_legacy.theano.old.configuration:config",
        "change_flags": "deconv_legacy.theano.old.configuration:change_flags",
        "Op": "deconv_legacy.theano.old.gof:Op",
        "local_optimizer": "deconv_legacy.theano.old.gof:local_optimizer",
        "Variable": "deconv_legacy.theano.old.graph:Variable",
    },
    "**": {
        "Optimizer": "aesara.graph.rewriting.basic:GraphRewriter",
        "T": "theano.tensor:",
        "compile": "theano.compile:",
        "elemwise": "theano.tensor.elemwise:",
        "gradient": "theano.gradient:",
        "graph": "theano.gof.graph:",
        "hashtype": "deconv_legacy.theano.old.gof:hashtype",
        "link": "theano.gof.link:",
        "opt": "theano.tensor.opt:",
        "printing": "theano.printing:",
        "scal": "theano.scalar:",
        "scalar": "theano.scalar:",
        "scan_utils": "theano.scan_module.scan_utils:",
        "sparse": "theano.sparse:",
        "subtensor": "theano.tensor.subtensor:",
        "tensor": "theano.tensor:",
        "toolbox": "theano.gof.toolbox:",
        "utils": "theano.gof.utils:",
    },
    "theano": {
        "opt": "theano.gof.opt:",
        "toolbox": "theano.gof.toolbox:",
        "utils": "theano.gof.utils:",
        "foldl": "aesara.scan.views:foldl",
        "foldr": "aesara.scan.views:foldr",
        "map": "aesara.scan.views:map",
        "reduce": "aesara.scan.views:reduce",
        "scan": "aesara.scan.basic:scan",
        "scan_checkpoints": "aesara.scan.checkpoints:scan_checkpoints",
    },
    "theano.compile": {"graph": "theano.gof.graph:"},
    "theano.compile.function_module": {"graph": "theano.gof.graph:"},
    "theano.gof": {
        "DB": "aesara.graph.rewriting.db:RewriteDatabase",
        "LambdExtract": "aesara.graph.features:LambdaExtract",
        "ReplacementDidntRemovedError": "aesara.graph.features:ReplacementDidNotRemoveError",
    },
    "theano.gof.link": {"log_thunk_trace": "aesara.link.utils:__log_thunk_trace"},
    "theano.gof.toolbox": {
        "LambdExtract": "aesara.graph.features:LambdaExtract",
        "ReplacementDidntRemovedError": "aesara.graph.features:ReplacementDidNotRemoveError",
    },
    "theano.gof.optdb": {"opt": "theano.gof.opt:", "DB": "aesara.graph.rewriting.db:RewriteDatabase"},
    "theano.gof.vm": {"VM_Linker": "aesara.link.vm:VMLinker"},
    "theano.misc.may_share_memory": {"SparseType": "aesara.sparse.type:SparseTensorType"},
    "theano.scan_module.scan_opt": {"scan_args": "aesara.scan.utils:ScanArgs"},
    "theano.scan_module.scan_utils": {"scan_args": "aesara.scan.utils:ScanArgs"},
    "theano.tensor": {
        "nnet": "theano.tensor.nnet:",
        "signal": "theano.tensor.signal:",
        "scal": "theano.scalar:",
        "_shared": "aesara.tensor.sharedvar:tensor_constructor",
        "sort": "aesara.tensor.sort:sort",
        "var": "aesara.tensor.math:var",
        "grad": "aesara.gradient:grad",
    },
    "theano.tensor.basic": {"scal": "theano.scalar:", "elemwise": "theano.tensor.elemwise:"},
    "theano.tensor.nnet.abstract_conv": {"Assert": "aesara.raise_op:Assert"},
    "theano.tensor.nnet.nnet": {
        "softmax_grad": "aesara.tensor.nnet.basic:softmax_grad_legacy",
        "scalar_softsign": "aesara.tensor.nnet.basic:scalar_softsign",
    },
    "theano.tensor.nnet": {"softmax_grad": "aesara.tensor.nnet.basic:softmax_grad_legacy"},
    "theano.tensor.opt": {"Assert": "aesara.raise_op:Assert", "assert_op": "aesara.raise_op:assert_op"},
}


def _expand(module: str) -> str:
    return f"{_OLD}.{module[4:]}" if module.startswith("old.") else module


@functools.cache
def known_names() -> dict[str, dict[str, bool]]:
    """For each module of Theano 1.0.5 its public names, and whether each is a module."""
    text = (Path(__file__).parent / "names.txt").read_text()
    rows = (line.split() for line in text.splitlines() if not line.startswith("#"))
    return {module: {name.rstrip("/"): name.endswith("/") for name in names} for module, *names in rows}


def _import(module: str) -> types.ModuleType | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return importlib.import_module(module)
    except ImportError:
        if module.startswith(_OLD):
            raise
        return None  # a module that this version of Aesara lacks


def _home(place: str) -> Home:
    module, _, name = place.partition(":")
    return Home(module, name or None)


def is_there(module: str) -> bool:
    """Whether a module of Aesara can be imported."""
    return _import(module) is not None


def sources(module: str) -> tuple[str, ...]:
    """The modules that hold the names of one of Theano's, in the order of search."""
    return tuple(map(_expand, SOURCES.get(module, ())))


def holds(source: str, name: str) -> bool:
    """Whether a source has a name, its own or by Aesara's warnings on old names."""
    module = _import(source)
    if module is None:
        return False
    if source.startswith(_OLD):
        return name in module.__all__
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            value = getattr(module, name)
        except (AttributeError, RuntimeError):
            return False
    # Aesara's own modules stay hidden behind Theano's of the same name
    return not (isinstance(value, types.ModuleType) and value.__name__.partition(".")[0] == "aesara")


@functools.cache
def find(module: str, name: str) -> Home | None:
    """Where ``module.name`` of Theano lives; None if it is not served."""
    if name.startswith("__") and name not in ("__version__", "__api_version__"):
        return None
    known = known_names().get(module, {})
    keys = [module, "*"] if not known.get(name) or f"{module}.{name}" in SOURCES else [module, "*", "**"]
    for key in keys:
        if name in MOVED.get(key, {}):
            return _home(MOVED[key][name])
    submodule = f"{module}.{name}"
    if submodule in SOURCES and known.get(name, True):
        return Home(submodule, None)
    for source in sources(module):
        if holds(source, name):
            return Home(source, name)
    if submodule in SOURCES:
        return Home(submodule, None)
    return _home(MOVED["**"][name]) if name in known and name in MOVED["**"] else None


@functools.cache
def served_names(module: str) -> tuple[str, ...]:
    """What ``dir()`` of a module shows: Theano's public names that are served, and those of older versions."""
    names = [name for name in known_names().get(module, {}) if find(module, name) is not None]
    ours = next(iter(SOURCES.get(module, ())), "")
    if ours.startswith("old."):
        names += [name for name in importlib.import_module(_expand(ours)).__all__ if not name.startswith("_")]
    depth = module.count(".") + 1
    names += [
        other.rpartition(".")[2] for other in SOURCES if other.startswith(module + ".") and other.count(".") == depth
    ]
    return tuple(sorted(set(names)))


def star_names(module: str) -> list[str]:
    """What ``from module import *`` brings: no names that Aesara added, which would hide builtins such as ``abs``."""
    return [name for name in served_names(module) if name != "theano"]


def explain(module: str, name: str) -> str:
    """Why a name is not there."""
    full = f"{module}.{name}" if module else name
    if name in known_names().get(module, {}) or full in known_names():
        return f"{full} of Theano 1.0.5 is not served by deconv_legacy: Aesara has nothing in its place"
    return f"{full} is no name of Theano that deconv_legacy knows"
