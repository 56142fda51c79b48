"""``theano.config``: Theano's dotted flags over Aesara's, and THEANO_FLAGS and .theanorc, translated.

Aesara's flags have the same names with ``__`` for the dot. What Aesara no longer has (GPU and cuDNN options,
``int_division``, ...) is kept here with Theano's default, can be set, and changes nothing.
"""

from __future__ import annotations

import configparser
import contextlib
import functools
import os
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from deconv_legacy import engine
from deconv_legacy.engine import aesara
from deconv_legacy.theano.old import function

__all__ = [
    "AddConfigVar",
    "TheanoConfigParser",
    "TheanoConfigWarning",
    "change_flags",
    "config",
    "config_files_from_theanorc",
    "fetch_val_for_key",
    "get_config_hash",
]

# Theano's flags that Aesara dropped, with Theano 1.0.5's defaults
_GONE: dict[str, Any] = {
    "cache_optimizations": False,
    "contexts": "",
    "cuda.include_path": "",
    "cuda.root": "",
    "dnn.base_path": "",
    "dnn.bin_path": "",
    "dnn.conv.algo_bwd": "guess_once",
    "dnn.conv.algo_bwd_data": "small",
    "dnn.conv.algo_bwd_filter": "small",
    "dnn.conv.algo_fwd": "small",
    "dnn.conv.precision": "as_input_f32",
    "dnn.conv.workmem": "",
    "dnn.conv.workmem_bwd": "",
    "dnn.enabled": "auto",
    "dnn.include_path": "",
    "dnn.library_path": "",
    "enable_initial_driver_test": True,
    "experimental.unpickle_gpu_on_cpu": False,
    "fastmath": False,
    "gpu.local_elemwise_fusion": True,
    "gpuarray.cache_path": "",
    "gpuarray.preallocate": 0.0,
    "gpuarray.sched": "default",
    "gpuarray.single_stream": True,
    "gpuarray.sync": False,
    "gpuelemwise.sync": True,
    "init_gpu_device": "",
    "int_division": "int",
    "lib.amdlibm": False,
    "lib.cnmem": 0.0,
    "magma.enabled": False,
    "magma.include_path": "",
    "magma.library_path": "",
    "nvcc.compiler_bindir": "",
    "nvcc.fastmath": False,
    "nvcc.flags": "",
    "numpy.seterr_all": "ignore",
    "numpy.seterr_divide": "None",
    "numpy.seterr_invalid": "None",
    "numpy.seterr_over": "None",
    "numpy.seterr_under": "None",
    "print_active_device": True,
    "reoptimize_unpickled_function": False,
    "unittest": "",
    "warn.argmax_pushdown_bug": False,
    "warn.gpu_set_subtensor1": False,
    "warn.gpusum_01_011_0111_bug": False,
    "warn.identify_1pexp_bug": False,
    "warn.inc_set_subtensor1": True,
    "warn.inc_subtensor1_opt": True,
    "warn.reduce_join": True,
    "warn.signal_conv2d_interface": True,
    "warn.subtensor_merge_bug": False,
    "warn.sum_div_dimshuffle_bug": False,
    "warn.sum_sum_bug": False,
    "warn.vm_gc_bug": False,
}

TheanoConfigWarning = aesara.configparser.AesaraConfigWarning


class _Section:
    """``config.blas``, ``config.dnn.conv``, ...: the flags below a dotted prefix."""

    def __init__(self, config: TheanoConfigParser, prefix: str):
        self.__dict__.update(_config=config, _prefix=prefix)

    def __getattr__(self, name: str) -> Any:
        return self._config._get(f"{self._prefix}.{name}")

    def __setattr__(self, name: str, value: Any) -> None:
        self._config._set(f"{self._prefix}.{name}", value)

    def __delattr__(self, name: str) -> None:
        self._config._own.pop(f"{self._prefix}.{name}", None)


class TheanoConfigParser:
    """The type of ``theano.config``."""

    def __init__(self) -> None:
        self.__dict__.update(_own=dict(_GONE), device="cpu")

    def _sections(self) -> set[str]:
        dotted = [name.replace("__", ".") for name in aesara.config._config_var_dict] + list(self._own)
        return {name[:i] for name in dotted for i in range(len(name)) if name[i] == "."}

    def _get(self, name: str) -> Any:
        if name in self._own:
            return self._own[name]
        if name.replace(".", "__") in aesara.config._config_var_dict:
            return getattr(aesara.config, name.replace(".", "__"))
        if name in self._sections():
            return _Section(self, name)
        raise AttributeError(f"theano.config has no flag {name!r}")

    def _set(self, name: str, value: Any) -> None:
        if name in self._own:
            self._own[name] = value
        elif name.replace(".", "__") in aesara.config._config_var_dict:
            setattr(aesara.config, name.replace(".", "__"), value)
        else:
            raise AttributeError(f"theano.config has no flag {name!r}")

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self._get(name.replace("__", "."))

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "device":
            self.__dict__["device"] = value  # Aesara's own is "cpu" and cannot be set
        else:
            self._set(name.replace("__", "."), value)

    def __dir__(self) -> list[str]:
        names = {name.replace("__", ".").partition(".")[0] for name in [*aesara.config._config_var_dict, *self._own]}
        return sorted(names | {"change_flags", "device"})

    def __str__(self) -> str:
        lines = [f"{name} = {getattr(self, name)}" for name in dir(self) if name != "change_flags"]
        return "\n".join(line for line in lines if "<" not in line)

    def change_flags(self, *args: Any, **flags: Any) -> Any:
        return change_flags(*args, **flags)


config = TheanoConfigParser()


class change_flags:
    """Flags changed for a while: a context manager and a decorator. Dotted names come in a dict or by ``**``."""

    def __init__(self, args: Any = (), **flags: Any):
        self.flags = {name.replace("__", "."): value for name, value in {**dict(args), **flags}.items()}

    def __enter__(self) -> None:
        self.before = {name: config.device if name == "device" else config._get(name) for name in self.flags}
        self._apply(self.flags)

    def __exit__(self, *error: Any) -> None:
        self._apply(self.before)

    def _apply(self, flags: dict[str, Any]) -> None:
        for name, value in flags.items():
            if name == "device":
                config.device = value
            else:
                config._set(name, value)

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def changed(*args: Any, **kwargs: Any) -> Any:
            with change_flags(self.flags):
                return function(*args, **kwargs)

        return changed


def AddConfigVar(name: str, doc: str, configparam: Any, root: Any = config, in_c_key: bool = True) -> None:
    """A flag of the caller's own, with a ``ConfigParam`` (or a plain default)."""
    default = getattr(configparam, "default", configparam)
    config._own[name] = default() if callable(default) else default
    with contextlib.suppress(KeyError):
        config._own[name] = _parse(configparam, fetch_val_for_key(name))


def _parse(configparam: Any, text: str) -> Any:
    return configparam.apply(text) if hasattr(configparam, "apply") else text


def config_files_from_theanorc() -> list[str]:
    """The files that THEANORC names, else ~/.theanorc; later ones count more."""
    return [os.path.expanduser(name) for name in os.environ.get("THEANORC", "~/.theanorc").split(os.pathsep)]


def theano_settings() -> dict[str, str]:
    """What .theanorc and THEANO_FLAGS ask for, by dotted name."""
    parser = configparser.ConfigParser(interpolation=None)
    with warnings.catch_warnings():
        try:
            parser.read(config_files_from_theanorc())
        except configparser.Error as error:
            warnings.warn(f".theanorc is not read: {error}", TheanoConfigWarning)
    settings = {
        name if section == "global" else f"{section}.{name}": value
        for section in parser.sections()
        for name, value in parser.items(section)
    }
    settings.update(aesara.configparser.parse_config_string(os.environ.get("THEANO_FLAGS", ""), issue_warnings=False))
    # ConfigParser writes option names small
    known = {name.lower(): name for name in [*(n.replace("__", ".") for n in aesara.config._config_var_dict), *_GONE]}
    return {known.get(name.lower(), name): value for name, value in settings.items()}


def fetch_val_for_key(key: str, delete_key: bool = False) -> str:
    """What the user set for a flag; KeyError where nothing."""
    return theano_settings()[key]


def get_config_hash() -> str:
    return aesara.config.get_config_hash()


def _is_gpu(device: str) -> bool:
    return device.startswith(("gpu", "cuda", "opencl"))


def apply_settings(settings: dict[str, str]) -> Iterator[str]:
    """Set what was asked for; yields a sentence for each flag that could not be set, or has no effect."""
    for name, value in settings.items():
        if name in ("device", "init_gpu_device", "force_device", "contexts"):
            if _is_gpu(value):
                digits = value.lstrip("abcdefghijklmnopqrstuvwxyz")
                function.backend = engine.gpu_backend(int(digits) if digits.isdigit() else 0)
                if function.backend is None:
                    yield f"{name}={value}: JAX has no such GPU here, and Aesara none; everything runs on the CPU"
            continue
        if name in _GONE:
            default = _GONE[name]
            if isinstance(default, bool):
                config._own[name] = str(value).lower() in ("true", "1")
            else:
                config._own[name] = type(default)(value)
            continue
        flag = name.replace(".", "__")
        parameter = aesara.config._config_var_dict.get(flag)
        if parameter is None:
            yield f"{name}={value}: neither Theano 1.0.5 nor Aesara has this flag"
        elif parameter.mutable:
            try:
                setattr(aesara.config, flag, value)
            except (ValueError, TypeError) as error:
                yield f"{name}={value}: {error}"
        elif not same_value(getattr(aesara.config, flag), value):
            yield f"{name}={value}: Aesara takes it only when it starts; set AESARA_FLAGS={flag}={value} instead"


def same_value(value: Any, text: str) -> bool:
    """Whether a flag has the value that a text asks for; paths may be written in several ways."""
    return str(value) == text or (os.sep in str(value) and Path(str(value)) == Path(text).expanduser())
