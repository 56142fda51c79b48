"""Pretending that there is a GPU: what code that asks for one is told. Everything runs on the CPU in either case."""

from __future__ import annotations

__all__ = ["available", "pretend"]

_pretended = False


def available() -> bool:
    """Whether code is told that a GPU and cuDNN are there."""
    return _pretended


def pretend(there_is_one: bool) -> None:
    """Choose what code is told from now on."""
    global _pretended
    from deconv_legacy.theano.old.configuration import config

    _pretended = bool(there_is_one)
    config.device = "cuda0" if _pretended else "cpu"
