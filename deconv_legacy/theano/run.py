"""Run an old script: `install` the facade, put up the bridges of `drift`, and execute it as ``__main__``."""

from __future__ import annotations

import os
import runpy
import sys
import types
import warnings
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from deconv_legacy.theano import TheanoFlagsWarning, install
from deconv_legacy.theano.drift import BRIDGES, Bridges

__all__ = ["aesara_flags_for_start", "run_module", "run_script", "to_stderr"]


def to_stderr(sentence: str) -> None:
    """Tell the user of a run."""
    print(f"deconv-legacy run: {sentence}", file=sys.stderr)


def aesara_flags_for_start() -> str | None:
    """AESARA_FLAGS with those of Theano's flags that Aesara takes only when it starts; None if there are none."""
    from deconv_legacy.engine import aesara
    from deconv_legacy.theano.old import configuration

    wanted = []
    for name, value in configuration.theano_settings().items():
        parameter = aesara.config._config_var_dict.get(name.replace(".", "__"))
        late = parameter is not None and not parameter.mutable and name not in ("device", "force_device")
        if late and not configuration.same_value(getattr(aesara.config, name.replace(".", "__")), value):
            wanted.append(f'{name.replace(".", "__")}="{value}"')
    return ",".join([*filter(None, [os.environ.get("AESARA_FLAGS")]), *wanted]) if wanted else None


def _prepare(
    folder: Path | None, bridges: Iterable[str], packages: Iterable[str], gpu: bool, report: Callable[[str], None]
) -> Bridges:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", TheanoFlagsWarning)
        install(gpu=gpu)
    for warning in caught:
        report(str(warning.message))
    built = Bridges(bridges, report)
    built.build(folder, packages)
    return built


def run_script(
    path: str | Path,
    arguments: Sequence[str] = (),
    *,
    bridges: Iterable[str] = BRIDGES,
    packages: Iterable[str] = (),
    gpu: bool = False,
    report: Callable[[str], None] = to_stderr,
) -> None:
    """Execute a script as ``python path arguments...`` would, with the facade and the bridges.

    Parameters
    ----------
    bridges
        The names of the bridges in use, from `drift.BRIDGES`.
    packages
        Installed packages whose source is bridged too; modules beside the script always are.
    gpu
        Pretend that there is a GPU.
    report
        Called with each sentence for the user; by default it goes to stderr.
    """
    path = Path(path)
    data = path.read_bytes()
    built = _prepare(path.resolve().parent, bridges, packages, gpu, report)
    main, argv, paths = sys.modules["__main__"], sys.argv, sys.path[:]
    module = types.ModuleType("__main__")
    module.__file__ = str(path)
    sys.modules["__main__"] = module
    sys.argv, sys.path[:1] = [str(path), *arguments], [str(path.resolve().parent)]
    try:
        exec(built.compile(data, str(path)), module.__dict__)
    finally:
        sys.modules["__main__"], sys.argv, sys.path[:] = main, argv, paths
        built.remove()


def run_module(
    name: str,
    arguments: Sequence[str] = (),
    *,
    bridges: Iterable[str] = BRIDGES,
    packages: Iterable[str] = (),
    gpu: bool = False,
    report: Callable[[str], None] = to_stderr,
) -> None:
    """`run_script` for ``python -m name arguments...``."""
    built = _prepare(Path.cwd(), bridges, packages, gpu, report)
    argv, paths = sys.argv, sys.path[:]
    sys.argv, sys.path[:1] = [name, *arguments], [os.getcwd()]
    try:
        runpy.run_module(name, run_name="__main__", alter_sys=True)
    finally:
        sys.argv, sys.path[:] = argv, paths
        built.remove()
