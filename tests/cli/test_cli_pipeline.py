"""Many photos at once: the stages of one process, and the workers of a Dask scheduler, one of which is killed."""

from __future__ import annotations

import importlib.util
import json
import os
import pickle
import re
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from cli_helpers import Run, noise, pointwise, read, save

from deconv_legacy.cli import _segmenter
from deconv_legacy.cli._pipeline import _on_worker, overlapped


def test_stages_overlap_in_order_and_within_bounds():
    reached, lock, waiting, most = [], threading.Event(), [0], [0]

    def read_(item):
        waiting[0] += 1
        most[0] = max(most[0], waiting[0])
        return item

    def compute(item):
        if item == 0:
            # the next one is read while this one is computed
            while waiting[0] < 2:
                time.sleep(0.001)
        if item == 1:
            assert lock.wait(10)  # which the writing of the first one sets
        waiting[0] -= 1
        return 10 * item

    def write(item, value):
        lock.set()
        reached.append(item)
        return value

    results = list(overlapped(range(20), read_, compute, write))
    assert results == [(i, 10 * i) for i in range(20)] and reached == list(range(20))
    assert most[0] <= 4  # 2 ahead, one at hand, one being read
    assert list(overlapped([], read_, compute, write)) == []


@pytest.mark.parametrize("stage", ["read", "compute", "write"])
def test_a_failing_stage_ends_it(stage):
    written = []

    def failing(name):
        def work(item, *rest):
            if name == stage and item == 3:
                raise OSError(f"{name} {item}")
            if name == "write":
                written.append(item)
            return item

        return work

    with pytest.raises(OSError, match=f"{stage} 3"):
        list(overlapped(range(100), *map(failing, ("read", "compute", "write"))))
    assert written[:3] == [0, 1, 2] and len(written) < 10  # what was computed is written
    assert not [t for t in threading.enumerate() if t.name.startswith(("read", "write")) and t.is_alive()]


def test_many_photos_as_one_by_one(tmp_path, capsys):
    prototxt, weights, w, b = pointwise(tmp_path)
    photos = [save(tmp_path / f"p{i}.png", noise(20 + i, 31 - i, i)) for i in range(7)]
    run = Run(
        capsys, "segment", *photos, "--model", prototxt, "--weights", weights, "--out", tmp_path / "out",
        "--backend", "numpy", "--mean", "0,0,0", "--json",
    )  # fmt: skip
    assert run.status == 0, run.err
    counts = json.loads(run.out)[0]["photos"]
    assert list(counts) == [str(photo) for photo in photos]
    for i, photo in enumerate(photos):
        scores = np.einsum("oc,hwc->ohw", w, noise(20 + i, 31 - i, i)[:, :, ::-1].astype("f")) + b[:, None, None]
        labels, _ = read(tmp_path / "out" / f"p{i}_labels.png")
        np.testing.assert_array_equal(labels, scores.argmax(0))
        assert counts[str(photo)] == np.bincount(labels.ravel(), minlength=5).tolist()


def test_photos_travel_as_bytes(tmp_path, capsys, monkeypatch):
    """What a worker gets of a photo is 8 bits a number; what it computes is bit for bit what is computed here."""
    prototxt, weights, *_ = pointwise(tmp_path)
    photos = [save(tmp_path / f"p{i}.png", noise(20 + i, 31, i)) for i in range(3)]
    travelled = []

    def on_workers(client, job, items, read, reduce, write):
        """As by the workers, of which there is one, behind a pickle."""
        for item in items:
            value = read(item)
            travelled.extend((array.dtype.name, array.shape) for array in value)
            there = pickle.loads(pickle.dumps((reduce, job, value), protocol=5))
            yield item, write(item, _on_worker(*there))

    monkeypatch.setattr(_segmenter, "connect", lambda address: None)
    monkeypatch.setattr(_segmenter, "on_workers", on_workers)
    words = ["segment", *photos, "--model", prototxt, "--weights", weights, "--backend", "numpy", "--scores"]
    for folder, more in (("here", []), ("there", ["--scheduler", "tcp://any"])):
        run = Run(capsys, *words, "--mean", "104.00699,116.66877,122.67892", "--out", tmp_path / folder, *more)
        assert run.status == 0, run.err
    assert travelled == [("uint8", (20 + i, 31, 3)) for i in range(3)]
    for i in range(3):
        here, there = (np.load(tmp_path / folder / f"p{i}_scores.npz")["scores"] for folder in ("here", "there"))
        np.testing.assert_array_equal(here, there)


have_dask = pytest.mark.skipif(importlib.util.find_spec("distributed") is None, reason="no distributed")


@pytest.fixture
def scheduler(tmp_path):
    """A scheduler with two workers, processes of this test: its address, and the workers."""
    started = []

    def start(module, *words):
        command = [sys.executable, "-m", f"distributed.cli.{module}", *words]
        with (tmp_path / f"log{len(started)}").open("w") as log:
            started.append(subprocess.Popen(command, stderr=log, stdout=log, cwd=tmp_path))
        return started[-1]

    file = tmp_path / "scheduler.json"
    start("dask_scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", str(file))
    end = time.monotonic() + 60
    while not (file.exists() and file.read_text().strip().endswith("}")):
        assert time.monotonic() < end
        time.sleep(0.1)
    address = json.loads(file.read_text())["address"]
    workers = [start("dask_worker", address, "--no-nanny", "--nthreads", "1", "--no-dashboard") for _ in range(2)]
    yield address, workers
    for process in started:
        process.kill()
        process.wait()


@have_dask
@pytest.mark.slow
def test_a_worker_that_dies_loses_nothing(tmp_path, scheduler):
    address, workers = scheduler
    prototxt, weights, w, b = pointwise(tmp_path)
    photos = [save(tmp_path / f"p{i}.png", noise(200, 300, i)) for i in range(12)]
    out = tmp_path / "out"
    command = [
        sys.executable, "-m", "deconv_legacy", "segment", *photos, "--model", prototxt, "--weights", weights,
        "--out", out, "--backend", "numpy", "--mean", "0,0,0", "--scheduler", address, "--json",
    ]  # fmt: skip
    run = subprocess.Popen([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    end = time.monotonic() + 120
    while not list(out.glob("*_labels.png")) and run.poll() is None:
        assert time.monotonic() < end
        time.sleep(0.01)
    workers[0].send_signal(signal.SIGKILL)
    printed, said = run.communicate(timeout=180)
    assert run.returncode == 0, said
    assert workers[1].poll() is None
    counts = json.loads(printed)[0]["photos"]
    assert list(counts) == [str(photo) for photo in photos]
    assert sorted(os.listdir(out)) == sorted(
        ["histogram.json", *(f"p{i}_{kind}.png" for i in range(12) for kind in ("labels", "overlay"))]
    )
    for i in range(12):
        scores = np.einsum("oc,hwc->ohw", w, noise(200, 300, i)[:, :, ::-1].astype("f")) + b[:, None, None]
        np.testing.assert_array_equal(read(out / f"p{i}_labels.png")[0], scores.argmax(0))
    assert re.search(r"12/12", said), "the progress bar counts each photo once"


@have_dask
@pytest.mark.slow
def test_a_photo_counts_once_though_its_worker_dies(tmp_path, scheduler, capsys):
    """The confusion matrix of 60 photos: counted here in a loop, by the stages of one process, and by two workers."""
    address, workers = scheduler
    prototxt, weights, w, b = pointwise(tmp_path)
    photos, hist = [], np.zeros((5, 5), int)
    for i in range(60):
        size = (200 + i, 300) if i else (900, 1100)
        photo, truth = noise(*size, i), np.random.default_rng(i).integers(0, 6, size, np.uint8)
        truth[truth == 5] = 255
        photos.append(save(tmp_path / "photos" / f"p{i}.png", photo))
        save(tmp_path / "labels" / f"p{i}.png", truth)
        found = (np.einsum("oc,hwc->ohw", w, photo[:, :, ::-1].astype("f")) + b[:, None, None]).argmax(0)
        np.add.at(hist, (truth[truth < 5], found[truth < 5]), 1)
    words = [
        "score", *photos, "--labels", tmp_path / "labels", "--model", prototxt, "--weights", weights,
        "--backend", "numpy", "--mean", "0,0,0", "--json",
    ]  # fmt: skip
    here = json.loads(Run(capsys, *words).out)
    assert here["hist"] == hist.tolist() and here["photos"] == 60
    counting = (
        "import sys; from deconv_legacy.cli import _progress, main; _progress._EVERY = 0; sys.exit(main(sys.argv[1:]))"
    )
    command = [str(word) for word in (sys.executable, "-c", counting, *words, "--scheduler", address)]
    run = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    said, done = b"", 0
    while not done:
        more = os.read(run.stderr.fileno(), 4096)
        assert more, said.decode()
        said += more
        done = max(map(int, re.findall(rb"(\d+)/60", said)), default=0)
    workers[0].send_signal(signal.SIGKILL)
    printed, rest = run.communicate(timeout=180)
    assert done < 50, "it had most behind it when the worker died"
    assert run.returncode == 0, (said + rest).decode()
    assert workers[1].poll() is None
    assert json.loads(printed) == here
    assert b"60/60" in rest and b"warning" not in said + rest


@have_dask
def test_no_scheduler(tmp_path, capsys, monkeypatch):
    prototxt, weights, *_ = pointwise(tmp_path)
    photo = save(tmp_path / "p.png", noise(5, 6))
    words = ("segment", photo, "--model", prototxt, "--weights", weights, "--out", tmp_path / "out", "--scheduler")
    assert "no scheduler answers there" in Run(capsys, *words, "nonsense://x").error()
    monkeypatch.setitem(sys.modules, "distributed", None)
    assert 'pip install "deconv_legacy[dask]"' in Run(capsys, *words, "tcp://127.0.0.1:1").error()
