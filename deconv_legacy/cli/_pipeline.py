"""Many photos: reading, computing and writing at the same time, here or on the workers of a Dask scheduler."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import tempfile
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from deconv_legacy import engine
from deconv_legacy.cli._images import blob_of
from deconv_legacy.errors import DeconvLegacyError, MissingExtraError, SizeError

__all__ = ["Job", "connect", "labelling", "on_workers", "overlapped"]


def overlapped(
    items: Iterable[Any],
    read: Callable[[Any], Any],
    compute: Callable[[Any], Any],
    write: Callable[[Any, Any], Any],
    ahead: int = 2,
) -> Iterator[tuple[Any, Any]]:
    """``write(item, compute(read(item)))`` for each item, in order: while one is computed, the next are read and the
    last are written. At most `ahead` wait on either side. Yields each item with what `write` returned."""
    todo = iter(items)
    reading: deque[tuple[Any, Any]] = deque()
    writing: deque[tuple[Any, Any]] = deque()
    reader, writer = ThreadPoolExecutor(1, "read"), ThreadPoolExecutor(1, "write")
    try:
        reading.extend((item, reader.submit(read, item)) for item in islice(todo, ahead))
        while reading:
            item, future = reading.popleft()
            value = future.result()
            reading.extend((following, reader.submit(read, following)) for following in islice(todo, 1))
            with _named(item):
                result = compute(value)
            writing.append((item, writer.submit(write, item, result)))
            while len(writing) > ahead or (writing and not reading):
                item, future = writing.popleft()
                yield item, future.result()
    finally:
        reader.shutdown(cancel_futures=True)
        writer.shutdown()  # what was computed is written


@contextlib.contextmanager
def _named(item: Any) -> Iterator[None]:
    """Where a photo has a size that the net cannot take, the error names it."""
    try:
        yield
    except SizeError as error:
        raise error.at(str(item)) from None


def labelling(net: Any, heads: Sequence[str], scores: bool, backend: str | None) -> Any:
    """Compile a net: a photo's blob in; out a list of each head's labels, uint8 ``(1, rows, columns)``, then, where
    asked for, the scores of each, ``(1, classes, rows, columns)``."""
    found = [net.blobs[head].output for head in heads]
    outputs = [*map(engine.labels, found), *(found if scores else ())]
    inputs = [layer.output for layer in net.input_layers]
    return engine.compile(inputs, outputs, backend=backend, on_unused_input="ignore")


class Job:
    """What a worker must know: a net's files, as bytes, what is subtracted from photos, whether the net is a fork's,
    and what `labelling` takes."""

    def __init__(
        self,
        prototxt: Path,
        weights: Path,
        mean: np.ndarray,
        forks: bool,
        heads: Sequence[str],
        scores: bool,
        backend: str | None,
    ):
        self.mean = mean
        self.files = {"net.prototxt": prototxt.read_bytes(), f"weights{weights.suffix}": weights.read_bytes()}
        self.forks, self.options = forks, (tuple(heads), scores, backend)
        texts = [*self.files.values(), repr((forks, self.options)).encode()]
        self.key = hashlib.sha256(b"".join(hashlib.sha256(text).digest() for text in texts)).hexdigest()


_functions: dict[str, Any] = {}


def _compute(job: Job, photo: np.ndarray) -> list[np.ndarray]:
    """On a worker: what `labelling` gives of a photo. The net is compiled once in each of its processes."""
    if job.key not in _functions:
        from deconv_legacy.caffe import build_net, read_net

        with tempfile.TemporaryDirectory() as folder:
            paths = [Path(folder) / name for name in job.files]
            for path, text in zip(paths, job.files.values(), strict=True):
                path.write_bytes(text)
            net = build_net(read_net(paths[0], allow_unknown=job.forks))
            net.load(paths[1])
        _functions[job.key] = labelling(net, *job.options)
    return _functions[job.key](blob_of(photo, job.mean))


def connect(address: str) -> Any:
    """A client of a Dask scheduler that has workers.

    Raises
    ------
    MissingExtraError
        Without distributed.
    DeconvLegacyError
        Where no scheduler answers, or no worker comes.
    """
    try:
        import distributed
    except ImportError:
        raise MissingExtraError("distributed", "dask", "--scheduler") from None
    try:
        client = distributed.Client(address, timeout=20)
    except (OSError, ValueError) as error:
        raise DeconvLegacyError(f"--scheduler {address}: no scheduler answers there ({error})") from None
    try:
        client.wait_for_workers(1, timeout=60)
    except TimeoutError:
        client.close()
        raise DeconvLegacyError(f"--scheduler {address}: it has no workers") from None
    return client


def on_workers(
    client: Any,
    job: Job,
    items: Sequence[Any],
    read: Callable[[Any], tuple[Any, ...]],
    reduce: Callable[..., Any],
    write: Callable[[Any, Any], Any],
) -> Iterator[tuple[Any, Any]]:
    """The same on the workers of a Dask scheduler: photos are read and results written here, once each; the net's files
    travel once to each worker, so that nothing but the address is needed. `read` gives a photo, which travels as the
    bytes it has, and what else `reduce` takes behind what `labelling` gives; what `reduce` makes of them comes back.

    What a worker was at when it died is computed again by another. Two photos for each thread of a worker are under
    way, so that memory stays bounded here and there.

    Raises
    ------
    DeconvLegacyError
        Where workers die three times on one photo.
    """
    import distributed

    with client:
        work = functools.partial(_on_worker, reduce)
        there = client.scatter(job, broadcast=True, hash=False)
        running: dict[Any, tuple[int, Any]] = {}  # future -> how often it was sent, item
        todo = deque((1, item) for item in items)
        while todo or running:
            while todo and len(running) < 2 * max(1, sum(client.nthreads().values())):
                tries, item = todo.popleft()
                with warnings.catch_warnings():
                    # a photo is as large as it is
                    warnings.filterwarnings("ignore", "Sending large graph")
                    future = client.submit(work, there, read(item), pure=False)
                running[future] = tries, item
            with contextlib.suppress(CancelledError):
                distributed.wait(list(running), return_when="FIRST_COMPLETED")
            again = False
            for future in [future for future in running if future.status != "pending"]:
                tries, item = running.pop(future)
                if future.status == "finished":
                    with contextlib.suppress(CancelledError):
                        result = future.result()
                        yield item, write(item, result)
                        continue
                if future.status == "error" and not isinstance(future.exception(), distributed.KilledWorker):
                    with _named(item):
                        future.result()  # what the worker raised
                if tries == 3:
                    raise DeconvLegacyError(f"{item}: the workers that were at it died, three times")
                todo.append((tries + 1, item))
                again = True
            if again:
                # the net, or results not fetched, went with a worker
                there = client.scatter(job, broadcast=True, hash=False)


def _on_worker(reduce: Callable[..., Any], job: Job, value: tuple[Any, ...]) -> Any:
    photo, *rest = value
    return reduce(_compute(job, photo), *rest)
