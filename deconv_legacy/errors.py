"""The errors of this package.

Every error is also one of Python's own kinds, so that old code which catches ``ValueError`` keeps working.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

__all__ = ["DeconvLegacyError", "FileFormatError", "MismatchError", "MissingExtraError", "SizeError", "listed"]


def listed(problems: Sequence[str]) -> str:
    """The text of an error with several causes: the first, which is all that the command line shows, their number, and
    all of them.

    >>> print(listed(["no weights for 'a'", "no weights for 'b'"]))
    no weights for 'a'
    2 problems in all:
      no weights for 'a'
      no weights for 'b'
    """
    if len(problems) == 1:
        return problems[0]
    return "\n".join([problems[0], f"{len(problems)} problems in all:", *(f"  {problem}" for problem in problems)])


class DeconvLegacyError(Exception):
    """Base of every error that this package raises on purpose."""


class SizeError(DeconvLegacyError, ValueError):
    """A size, shape, stride, pad, ... that cannot be.

    Parameters
    ----------
    cause
        What is wrong, in one sentence: what was given and what is legal.
    axis
        The axis it concerns, counted in the caller's own axis order, or None.
    actual, computed
        For an impossible deconvolution: the size of the input there is, and the size that the forward
        convolution of the requested output would give.
    legal
        The legal values, where they can be listed.
    where
        Name and type of the layer or operation, e.g. ``"deconv2 (DeconvolutionLayer)"``.
    """

    axis: int | None
    actual: int | None
    computed: int | None
    legal: tuple[int, ...] | None

    def __init__(
        self,
        cause: str,
        *,
        axis: int | None = None,
        actual: int | None = None,
        computed: int | None = None,
        legal: Sequence[int] | None = None,
        where: str | None = None,
    ):
        handled = sys.exc_info()[1]
        if where is None and isinstance(handled, SizeError) and cause.startswith(str(handled)):
            # Aesara raises the error of a running function again, with more text: its numbers stay
            axis, actual, computed, legal = handled.axis, handled.actual, handled.computed, handled.legal
        self.cause = cause
        self.axis = axis
        self.actual = actual
        self.computed = computed
        self.legal = None if legal is None else tuple(legal)
        self.where = where
        super().__init__(cause if where is None else f"{where}: {cause}")

    def at(self, where: str, axis: int | None = None) -> SizeError:
        """The same error with its place named; inner code raises the cause, the boundary names the layer."""
        return type(self)(
            self.cause,
            axis=self.axis if axis is None else axis,
            actual=self.actual,
            computed=self.computed,
            legal=self.legal,
            where=where if self.where is None else f"{where}: {self.where}",
        )


class FileFormatError(DeconvLegacyError, ValueError):
    """A file that cannot be read: what it is, where in it (line and column where text), and why."""

    def __init__(self, cause: str, *, path: object = None, line: int | None = None, column: int | None = None):
        self.cause = cause
        self.path = None if path is None else str(path)
        self.line = line
        self.column = column
        place = ":".join(str(part) for part in (self.path, line, column) if part is not None)
        super().__init__(f"{place}: {cause}" if place else cause)


class MismatchError(DeconvLegacyError, ValueError):
    """Two things that should belong together do not: weights of another net, a missing or unknown name."""


class MissingExtraError(DeconvLegacyError, ImportError):
    """An optional library is absent; the message names the pip command that installs it."""

    def __init__(self, library: str, extra: str, purpose: str):
        super().__init__(f'{purpose} needs {library}: pip install "deconv_legacy[{extra}]"')
