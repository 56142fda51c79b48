"""``theano.printing.debugprint``, whose arguments have another order in Aesara."""

from __future__ import annotations

from typing import Any

from deconv_legacy.engine import aesara

__all__ = ["debugprint", "pp"]

pp = aesara.printing.pp


def debugprint(
    obj: Any,
    depth: int = -1,
    print_type: bool = False,
    file: Any = None,
    ids: str = "CHAR",
    stop_on_name: bool = False,
    done: Any = None,
    print_storage: bool = False,
    print_clients: bool = False,
    used_ids: Any = None,
) -> Any:
    """Print a graph as a tree; Aesara's words, Theano's arguments. ``print_clients`` is gone and does nothing."""
    options = dict(stop_on_name=stop_on_name, done=done, print_storage=print_storage, used_ids=used_ids)
    return aesara.printing.debugprint(obj, depth, print_type, file, ids, **options)
