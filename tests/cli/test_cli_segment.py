"""``deconv-legacy segment``: numbers, files, and every kind of bad input."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from cli_helpers import NETS, POINTWISE, ROOT, Run, noise, pointwise, read, save
from PIL import Image

from deconv_legacy.caffe import write_mean, write_weights
from deconv_legacy.caffe._label_files import write_label_image
from deconv_legacy.cli import _images, _segmenter
from deconv_legacy.training import confusion, scores

MEAN = np.array([104.00699, 116.66877, 122.67892])
FCN8S = NETS / "fcn8s"


@pytest.fixture
def net(tmp_path):
    return pointwise(tmp_path)


@pytest.fixture
def segment(tmp_path, net, capsys):
    """Run the small net on photos and write to ``tmp_path / "out"``."""

    def run(*photos, model=net[0], weights=net[1], out=tmp_path / "out"):
        return Run(
            capsys, "segment", *photos, "--model", model, "--weights", weights, "--out", out, "--backend", "numpy"
        )

    return run


def expected_labels(photo, net, mean=MEAN):
    """What FCN's infer.py computes, by its own lines, with the net as a matrix."""
    blob = np.array(photo, np.float32)
    blob = blob[:, :, ::-1]
    blob -= mean
    blob = blob.transpose((2, 0, 1))
    scores = np.einsum("oc,chw->ohw", net[2], blob) + net[3][:, None, None]
    return scores, scores.argmax(0)


def test_labels_are_real_caffes(tmp_path, capsys):
    """The oracle's input is a photo of whole numbers less FCN's mean, so the photo can be had back."""
    with np.load(FCN8S / "io_97x131.npz") as file:
        data, argmax, score = file["in/data"], file["argmax"], file["out/score"]
    photo = np.rint(data[0].transpose(1, 2, 0) + MEAN).astype(np.uint8)[:, :, ::-1]
    save(tmp_path / "photo.png", photo)
    save(tmp_path / "pixel.png", photo[:1, :1])
    save(tmp_path / "strip.png", photo[:2, :67])
    photos = [tmp_path / f"{name}.png" for name in ("photo", "pixel", "strip")]
    model = ["--model", FCN8S / "deploy.prototxt", "--weights", FCN8S / "weights.caffemodel"]
    run = Run(capsys, "segment", *photos, *model, "--out", tmp_path / "out", "--scores")
    assert run.status == 0
    labels, mode = read(tmp_path / "out" / "photo_labels.png")
    assert mode == "P"
    np.testing.assert_array_equal(labels, argmax.reshape(labels.shape))
    with np.load(tmp_path / "out" / "photo_scores.npz") as file:
        assert np.abs(file["scores"] - score[0]).max() <= 2e-5 * np.abs(score).max()
    # any size goes through the same compiled function
    assert read(tmp_path / "out" / "pixel_labels.png")[0].shape == (1, 1)
    assert read(tmp_path / "out" / "strip_labels.png")[0].shape == (2, 67)


def test_what_is_written_and_printed(tmp_path, segment, net):
    photos = {name: noise(rows, columns, rows) for name, rows, columns in (("a", 4, 9), ("b", 8, 5), ("dot", 1, 1))}
    run = segment(*(save(tmp_path / f"{name}.png", photo) for name, photo in photos.items()))
    assert run.status == 0
    assert "3/3" in run.err  # the progress bar
    out = tmp_path / "out"
    kinds = ("labels", "overlay")
    names = {f"{name}_{kind}.png" for name in photos for kind in kinds}
    assert {path.name for path in out.iterdir()} == names | {"histogram.json"}
    (histogram,) = json.loads((out / "histogram.json").read_text())
    palette = _images.voc_palette()
    total = np.zeros(5, int)
    for name, photo in photos.items():
        labels = expected_labels(photo, net)[1]
        written, mode = read(out / f"{name}_labels.png")
        assert mode == "P"
        np.testing.assert_array_equal(written, labels)
        with Image.open(out / f"{name}_labels.png") as image:
            np.testing.assert_array_equal(np.array(image.convert("RGB")), palette[labels])
        over, mode = read(out / f"{name}_overlay.png")
        assert mode == "RGB"
        np.testing.assert_array_equal(over, _images.overlay(photo, labels, palette))
        counts = np.bincount(labels.ravel(), minlength=5)
        assert histogram["photos"][str(tmp_path / f"{name}.png")] == counts.tolist()
        total += counts
    assert histogram["total"] == total.tolist()
    rows = [line.split() for line in run.out.splitlines()[1:]]
    present = np.flatnonzero(total)
    assert [row[0] for row in rows] == [str(index) for index in present]
    assert [row[3] for row in rows] == [str(total[index]) for index in present]
    assert [row[4] for row in rows] == [f"{100 * total[index] / total.sum():.2f}" for index in present]


def test_options(tmp_path, net, capsys):
    photo = noise(6, 7)
    save(tmp_path / "photo.png", photo)
    mean_image = np.random.default_rng(3).uniform(50, 200, (3, 4, 5)).astype(np.float32)
    write_mean(tmp_path / "mean.binaryproto", mean_image)
    colours = _images.complete_palette(np.arange(15).reshape(5, 3))
    write_label_image(tmp_path / "palette.png", np.zeros((1, 1), np.uint8), colours)
    (tmp_path / "classes.txt").write_text("sky\nsea\nsand\nsun\nship\n")
    options = {"--palette": tmp_path / "palette.png", "--classes": tmp_path / "classes.txt", "--output-blob": "score"}
    words = [
        "--model",
        net[0],
        "--weights",
        net[1],
        *(word for pair in options.items() for word in pair),
        "--json",
        "--backend",
        "numpy",
    ]
    for mean, values in (("10,200.5,-3", [10, 200.5, -3]), (tmp_path / "mean.binaryproto", mean_image.mean((1, 2)))):
        out = tmp_path / str(len(str(mean)))
        run = Run(
            capsys, "segment", tmp_path / "photo.png", *words, "--mean", mean, "--out", out, "--output-blob", "score"
        )
        assert run.status == 0
        labels = expected_labels(photo, net, np.array(values, np.float64))[1]
        np.testing.assert_array_equal(read(out / "photo_labels.png")[0], labels)
        np.testing.assert_array_equal(_images.read_palette(out / "photo_labels.png"), colours)
        (histogram,) = json.loads(run.out)
        assert histogram["classes"] == ["sky", "sea", "sand", "sun", "ship"]
        assert histogram == json.loads((out / "histogram.json").read_text())[0]


def test_each_head_is_written(tmp_path, capsys):
    """As SIFT Flow's nets have two: semantic and geometric classes."""
    rng = np.random.default_rng(0)
    (tmp_path / "net.prototxt").write_text(
        'input: "data" input_shape { dim: [1, 3, 9, 9] }'
        'layer { name: "s" type: "Convolution" bottom: "data" top: "score_sem"'
        "        convolution_param { num_output: 4 kernel_size: 1 } }"
        'layer { name: "g" type: "Convolution" bottom: "data" top: "score/geo"'
        "        convolution_param { num_output: 3 kernel_size: 2 stride: 2 } }"
    )
    weights = {
        "s": [rng.standard_normal((4, 3, 1, 1)), np.zeros(4)],
        "g": [rng.standard_normal((3, 3, 2, 2)), np.zeros(3)],
    }
    write_weights(tmp_path / "net.caffemodel", weights)
    save(tmp_path / "photo.png", noise(6, 10))
    words = ["--model", tmp_path / "net.prototxt", "--weights", tmp_path / "net.caffemodel", "--backend", "numpy"]
    run = Run(capsys, "segment", tmp_path / "photo.png", *words, "--out", tmp_path / "out")
    assert run.status == 0
    assert read(tmp_path / "out" / "photo_score_sem_labels.png")[0].shape == (6, 10)
    assert read(tmp_path / "out" / "photo_score_geo_labels.png")[0].shape == (3, 5)
    assert read(tmp_path / "out" / "photo_score_geo_overlay.png")[0].shape == (6, 10, 3)
    histograms = json.loads((tmp_path / "out" / "histogram.json").read_text())
    assert {each["blob"]: sum(each["total"]) for each in histograms} == {"score_sem": 60, "score/geo": 15}
    assert "score/geo:" in run.out


def test_the_model_that_ships_brings_its_own_facts(tmp_path, net, capsys, monkeypatch):
    """model.json beside it: classes, palette, mean (B, G, R)."""
    folder = tmp_path / "model"
    folder.mkdir()
    net[0].rename(folder / "deploy.prototxt")
    net[1].rename(folder / "weights.caffemodel")
    facts = {"classes": list("abcde"), "palette": np.arange(15).reshape(5, 3).tolist(), "mean": [90, 130.5, -20]}
    (folder / "model.json").write_text(json.dumps({**facts, "seed": 1}))
    monkeypatch.setattr(_segmenter, "MODEL", folder)
    photo = noise(6, 7)
    words = [save(tmp_path / "photo.png", photo), "--out", tmp_path / "out", "--backend", "numpy", "--json"]
    run = Run(capsys, "segment", *words)
    assert run.status == 0
    labels = expected_labels(photo, net, np.array(facts["mean"]))[1]
    np.testing.assert_array_equal(read(tmp_path / "out" / "photo_labels.png")[0], labels)
    palette = _images.read_palette(tmp_path / "out" / "photo_labels.png")
    np.testing.assert_array_equal(palette[:5], facts["palette"])
    assert json.loads(run.out)[0]["classes"] == facts["classes"]


@pytest.mark.skipif(not _segmenter.MODEL.exists(), reason="a checkout without the model")
def test_the_model_that_ships(tmp_path, capsys):
    files = list(_segmenter.MODEL.iterdir())
    assert sum(file.stat().st_size for file in files) < 1e6
    run = Run(capsys, "segment", save(tmp_path / "grey.png", np.full((20, 35, 3), 120, np.uint8)), "--out", tmp_path)
    assert run.status == 0
    assert run.out.splitlines()[1].split() == ["0", "background", "700", "100.00"]


# What is refused: one line, status 2, nothing written


def nothing_written(tmp_path):
    return not (tmp_path / "out").exists()


def test_a_photo_that_is_none(tmp_path, segment):
    good = save(tmp_path / "good.png", noise(3, 4))
    bad = tmp_path / "bad.jpg"
    bad.write_text("hello")
    assert "bad.jpg: this is not a photo" in segment(good, bad).error()
    bad.write_bytes((tmp_path / "good.png").read_bytes()[:-30])
    assert "bad.jpg: the photo cannot be read" in segment(good, bad).error()
    assert "none.png: No such file" in segment(good, tmp_path / "none.png").error()
    assert f"{tmp_path}: Is a directory" in segment(good, tmp_path).error()
    assert nothing_written(tmp_path)


def test_a_caffemodel_cut_short(tmp_path, segment, net):
    photo = save(tmp_path / "photo.png", noise(3, 4))
    content = net[1].read_bytes()
    net[1].write_bytes(content[: len(content) // 2])
    message = segment(photo).error()
    assert "point.caffemodel: " in message
    assert "cut short" in message
    assert "'classify'" in message
    net[1].write_bytes(b"")
    assert "the file is empty" in segment(photo).error()
    net[1].write_text(POINTWISE)
    assert "text (a prototxt?)" in segment(photo).error()
    assert nothing_written(tmp_path)


def test_a_prototxt_with_an_unknown_layer(tmp_path, segment, net):
    photo = save(tmp_path / "photo.png", noise(3, 4))
    net[0].write_text(POINTWISE.replace('"Convolution"', '"Convolutoin"'))
    message = segment(photo).error()
    assert "point.prototxt:3:32: unknown layer type 'Convolutoin' of layer 'classify'" in message
    assert "did you mean 'Convolution'?" in message
    assert nothing_written(tmp_path)


def test_a_prototxt_with_a_syntax_error(tmp_path, segment, net):
    photo = save(tmp_path / "photo.png", noise(3, 4))
    net[0].write_text('name: "x"\nlayer { name "y" }\nlayer { nam: "z" }\n')
    message = segment(photo).error()
    assert "point.prototxt:2:14: " in message
    assert nothing_written(tmp_path)


def test_weights_of_another_net(tmp_path, segment):
    photo = save(tmp_path / "photo.png", noise(3, 4))
    message = segment(photo, weights=FCN8S / "weights.caffemodel").error()
    assert "these weights do not belong to the net: no weights for layer 'classify'" in message
    write_weights(tmp_path / "wide.caffemodel", {"classify": [np.ones((6, 3, 1, 1)), np.ones(6)]})
    message = segment(photo, weights=tmp_path / "wide.caffemodel").error()
    assert "the net needs shape (5, 3, 1, 1), the weights have (6, 3, 1, 1)" in message
    assert nothing_written(tmp_path)


@pytest.mark.filterwarnings("always")
def test_weights_that_are_not_used_are_told(tmp_path, segment, net):
    photo = save(tmp_path / "photo.png", noise(3, 4))
    write_weights(net[1], {"classify": [net[2].reshape(5, 3, 1, 1), net[3]], "aside": [np.ones(3)]})
    run = segment(photo)
    assert run.status == 0
    assert run.err.startswith(
        f"deconv-legacy: warning: {net[1]}: weights of layers that the net does not have: aside\n"
    )


def test_an_output_directory_that_cannot_be_written(tmp_path, segment):
    photo = save(tmp_path / "photo.png", noise(3, 4))
    (tmp_path / "file").write_text("")
    assert "Not a directory" in segment(photo, out=tmp_path / "file" / "out").error()
    assert "file is a file; the results go into a folder" in segment(photo, out=tmp_path / "file").error()
    assert (tmp_path / "file").read_text() == ""


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_an_output_directory_without_permission(tmp_path, segment):
    photo = save(tmp_path / "photo.png", noise(3, 4))
    (tmp_path / "out").mkdir(mode=0o500)
    assert "Permission denied" in segment(photo).error()


def test_results_never_overwrite_one_another(tmp_path, segment):
    one, other = save(tmp_path / "a" / "photo.png", noise(3, 4)), save(tmp_path / "b" / "photo.bmp", noise(3, 4))
    assert "would both write photo_labels.png" in segment(one, other).error()
    assert nothing_written(tmp_path)


def test_photos_are_never_overwritten(tmp_path, segment):
    photo = save(tmp_path / "out" / "photo.png", noise(3, 4))
    made = save(tmp_path / "out" / "photo_labels.png", noise(3, 4, 7))
    assert "photo_labels.png is a photo to be read" in segment(photo, made).error()
    np.testing.assert_array_equal(read(made)[0], noise(3, 4, 7))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--model", "{net}"], "--model and --weights go together"),
        (["--weights", "{weights}"], "--model and --weights go together"),
        (["--model", "{net}", "--weights", "{weights}", "--mean", "1,2"], "2 channels, 3 (B,G,R) are needed"),
        (["--model", "{net}", "--weights", "{weights}", "--mean", "none"], "neither three numbers B,G,R nor a mean"),
        (["--model", "{net}", "--weights", "{weights}", "--output-blob", "scor"], "no blob is called 'scor'"),
        (
            ["--model", "{net}", "--weights", "{weights}", "--backend", "cuda"],
            "backend 'cuda' is unknown; legal are 'c', 'numpy', 'jax'",
        ),
        (["--model", "{net}", "--weights", "{weights}", "--palette", "{net}"], "which this is not"),
    ],
)
def test_arguments_that_do_not_fit(tmp_path, net, capsys, words, message):
    photo = save(tmp_path / "photo.png", noise(3, 4))
    words = [word.format(net=net[0], weights=net[1]) for word in words]
    assert message in Run(capsys, "segment", photo, "--out", tmp_path / "out", *words).error()
    assert nothing_written(tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('input: "data" input_dim: [1, 3, 9, 9] input: "label" input_dim: [1, 1, 9, 9]', "2 inputs (data, label)"),
        ('input: "data" input_dim: [1, 4, 9, 9]', "a photo is (1, 3, ?, ?)"),
        (
            POINTWISE.replace("num_output: 5", "num_output: 1"),
            "'score' of shape (None, 1, None, None) is no map of scores",
        ),
        (POINTWISE.replace("num_output: 5", "num_output: 257"), "2 to 256 classes"),
    ],
)
def test_nets_that_label_no_photos(tmp_path, segment, net, text, message):
    net[0].write_text(text)
    assert message in segment(save(tmp_path / "photo.png", noise(3, 4))).error()
    assert nothing_written(tmp_path)


@pytest.mark.parametrize(("library", "words"), [("tqdm", "tqdm: pip install"), ("PIL", "Pillow: pip install")])
def test_a_missing_extra_is_named(tmp_path, segment, monkeypatch, library, words):
    photo = save(tmp_path / "photo.png", noise(3, 4))
    monkeypatch.setitem(sys.modules, library, None)
    _images._pillow.cache_clear()
    assert words in segment(photo).error()


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(28, "No space left on device")])
def test_an_interruption_leaves_whole_files_only(tmp_path, segment, monkeypatch, error):
    photos = [save(tmp_path / f"{name}.png", noise(3, 4)) for name in "ab"]

    def fails_half_way(path, picture, write=_images.write_picture):
        if (tmp_path / "out" / "a_overlay.png").exists():
            path.write_bytes(b"half")
            raise error
        write(path, picture)

    monkeypatch.setattr(_images, "write_picture", fails_half_way)
    run = segment(*photos)
    assert run.status == (130 if isinstance(error, KeyboardInterrupt) else 2)
    assert run.err.splitlines()[-1].startswith("deconv-legacy: ")
    written = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert written == ["a_labels.png", "a_overlay.png", "b_labels.png"]


def test_control_c(tmp_path, net):
    photos = [save(tmp_path / f"{index}.png", noise(700, 500, index)) for index in range(40)]
    words = [*photos, "--model", net[0], "--weights", net[1], "--out", tmp_path / "out", "--backend", "numpy"]
    # a shell's background jobs ignore Ctrl-C, and so would this child of one
    heed = "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler)"
    code = f"{heed}; from deconv_legacy.cli import main; sys.exit(main())"
    command = [sys.executable, "-c", code, "segment", *map(str, words)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not (tmp_path / "out" / "0_overlay.png").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert out == ""
    assert "Traceback" not in err
    assert err.splitlines()[-1] == "deconv-legacy: interrupted"
    written = list((tmp_path / "out").iterdir())
    assert 2 <= len(written) < 80
    for path in written:
        assert read(path)[0].shape[:2] == (700, 500)


def test_without_a_compiler_there_is_one_warning(tmp_path, net):
    photo = save(tmp_path / "photo.png", noise(3, 4))
    words = [photo, "--model", net[0], "--weights", net[1], "--out", tmp_path / "out"]
    environment = {**os.environ, "AESARA_FLAGS": "cxx="}
    command = [sys.executable, "-m", "deconv_legacy", "segment", *map(str, words)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("warning") == 1
    assert "no C++ compiler was found" in done.stderr
    labels = read(tmp_path / "out" / "photo_labels.png")[0]
    np.testing.assert_array_equal(labels, expected_labels(noise(3, 4), net)[1])


def test_the_shipped_net_finds_the_digits_of_the_example(tmp_path, capsys):
    """README's first command, against the labels with which the photograph was made."""
    example = ROOT / "examples" / "photo.png"
    assert Run(capsys, "segment", example, "--out", tmp_path).status == 0
    found, true = read(tmp_path / "photo_labels.png")[0], read(example.with_name("photo_labels.png"))[0]
    assert scores(confusion(true, found, 11)).mean_iu > 0.9  # 0.96 when it was made


def test_of_many_wrong_shapes_the_first_is_told(tmp_path, segment):
    photo = save(tmp_path / "photo.png", noise(3, 4))
    write_weights(tmp_path / "wide.caffemodel", {"classify": [np.ones((6, 3, 1, 1)), np.ones(6)]})
    run = segment(photo, weights=tmp_path / "wide.caffemodel")
    assert run.error().endswith("(2 problems in all; --debug lists them)") and len(run.error()) < 300
