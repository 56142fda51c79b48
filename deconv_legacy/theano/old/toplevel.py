"""Names of ``theano`` itself."""

from __future__ import annotations

import logging
from typing import Any

from aesara.misc.safe_asarray import _asarray

from deconv_legacy.engine import aesara
from deconv_legacy.theano.old import gof, printing
from deconv_legacy.theano.old.compile import Param
from deconv_legacy.theano.old.gof import Op, object2
from deconv_legacy.theano.old.scan import clone
from deconv_legacy.theano.old.tensor import get_scalar_constant_value
from deconv_legacy.theano.old.version import __version__

__all__ = [
    "Op",
    "Param",
    "__api_version__",
    "__version__",
    "_asarray",
    "clone",
    "debugprint",
    "dot",
    "generic",
    "get_scalar_constant_value",
    "has_handlers",
    "logging_default_formatter",
    "logging_default_handler",
    "numeric_grad",
    "object2",
    "sparse_grad",
    "test",
    "theano_logger",
]

__api_version__ = 1
debugprint = printing.debugprint
generic = gof.generic
numeric_grad = aesara.gradient.numeric_grad
theano_logger = logging.getLogger("theano")
logging_default_handler = logging.StreamHandler()
logging_default_formatter = logging.Formatter(fmt="%(levelname)s (%(name)s): %(message)s")


def has_handlers(logger: logging.Logger) -> bool:
    return logger.hasHandlers()


def dot(l: Any, r: Any) -> Any:  # noqa: E741 - Theano's names
    """The product of two tensors, or of sparse matrices and tensors."""
    for method, left, right in (("__dot__", l, r), ("__rdot__", r, l)):
        if hasattr(left, method):
            result = getattr(left, method)(right)
            if result is not NotImplemented:
                return result
    raise NotImplementedError("Dot failed for the following reasons:", (type(l), type(r)))


def sparse_grad(var: Any) -> Any:
    """A copy of ``x[indices]`` whose gradient is a sparse matrix."""
    assert isinstance(var.owner.op, aesara.tensor.subtensor.AdvancedSubtensor1)
    return type(var.owner.op)(sparse_grad=True)(*var.owner.inputs)


def test(*args: Any, **kwargs: Any) -> None:
    """Theano's own tests are not part of this."""
    raise ImportError("theano.test() ran Theano's own test suite, which deconv_legacy does not carry")
