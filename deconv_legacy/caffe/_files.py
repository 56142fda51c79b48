"""Opening and replacing files, the same way for every kind."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from deconv_legacy.errors import FileFormatError

__all__ = ["StrPath", "describe_start", "is_hdf5", "read_text", "replacing"]

StrPath = str | os.PathLike[str]

_HDF5 = b"\x89HDF\r\n\x1a\n"


def is_hdf5(path: StrPath) -> bool:
    """Whether the file's content is HDF5: its signature at byte 0, 512, 1024, ... (after a user block)."""
    size = os.path.getsize(path)
    with open(path, "rb") as file:
        offset = 0
        while offset < size:
            file.seek(offset)
            if file.read(len(_HDF5)) == _HDF5:
                return True
            offset = max(512, 2 * offset)
    return False


def describe_start(start: bytes) -> str | None:
    """What a file that is no protobuf looks like from its first bytes, or None."""
    kinds = {
        b"version https://git-lfs": "a Git LFS pointer: fetch the real file with `git lfs pull`",
        b"\x1f\x8b": "gzip-compressed",
        b"PK\x03\x04": "a zip archive (an npz?)",
        b"\x93NUMPY": "a NumPy array",
        b"\xff\xd8\xff": "a JPEG image",
        b"\x89PNG": "a PNG image",
        b"<!doctype": "an HTML page: the download failed",
        b"<html": "an HTML page: the download failed",
    }
    head = start.lstrip().lower()
    for magic, kind in kinds.items():
        if start.startswith(magic) or head.startswith(magic):
            return kind
    if start and b"\0" not in start and all(32 <= byte < 127 or byte in b"\t\r\n" for byte in start):
        return "text (a prototxt?)"
    return None


def read_text(path: StrPath) -> str:
    """The text of a prototxt; bytes that are not UTF-8 (comments of other code pages) become surrogates."""
    raw = Path(path).read_bytes()
    if b"\0" in raw:
        kind = "HDF5" if raw.startswith(_HDF5) else describe_start(raw[:64]) or "binary (a caffemodel?)"
        raise FileFormatError(f"the file is {kind}; a prototxt is text", path=path)
    return raw.decode("utf-8-sig", "surrogateescape")


@contextlib.contextmanager
def replacing(path: StrPath) -> Iterator[Path]:
    """A path beside ``path`` to write to, renamed to ``path`` in the end: nobody ever sees half a file, and
    arrays that are views of the old file stay valid. An error names ``path``, not the file beside it."""
    target = Path(path)
    try:
        handle, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=target.suffix, dir=target.parent)
    except FileNotFoundError as error:
        raise FileNotFoundError(error.errno, "its folder does not exist; make it first", str(target)) from None
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(target)) from None
    os.close(handle)
    beside = Path(name)
    try:
        yield beside
        umask = os.umask(0)
        os.umask(umask)
        beside.chmod(0o666 & ~umask)  # mkstemp's files are private; ours are as open() would make them
        beside.replace(target)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
