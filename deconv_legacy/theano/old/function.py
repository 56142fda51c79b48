"""``theano.function``: Aesara's, or JAX's where ``device=cuda`` was asked for and JAX has a GPU."""

from __future__ import annotations

import functools
from typing import Any

from deconv_legacy import engine
from deconv_legacy.engine import aesara

__all__ = ["function"]

backend: str | None = None
"""Set by ``device=cuda`` in THEANO_FLAGS or .theanorc, when `install` reads them."""


@functools.wraps(aesara.function)
def function(
    inputs: Any,
    outputs: Any = None,
    mode: Any = None,
    updates: Any = None,
    givens: Any = None,
    no_default_updates: bool = False,
    accept_inplace: bool = False,
    name: str | None = None,
    rebuild_strict: bool = True,
    allow_input_downcast: bool | None = None,
    profile: Any = None,
    on_unused_input: str | None = None,
) -> Any:
    options: dict[str, Any] = {
        "no_default_updates": no_default_updates,
        "name": name,
        "rebuild_strict": rebuild_strict,
        "allow_input_downcast": allow_input_downcast,
        "on_unused_input": on_unused_input,
    }
    if backend is not None and mode is None:
        return engine.compile(inputs, outputs, updates=updates, givens=givens, backend=backend, **options)
    options.update(accept_inplace=accept_inplace, profile=profile)
    return aesara.function(inputs, outputs, mode, updates, givens, **options)
