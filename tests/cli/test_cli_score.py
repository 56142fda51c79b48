"""``deconv-legacy score``: FCN's figures, every way to name photos and labels, and what is refused before it runs."""

from __future__ import annotations

import importlib.util
import json

import numpy as np
import pytest
import scipy.io
from cli_helpers import POINTWISE, ROOT, Run, noise, pointwise, read, save

from deconv_legacy.caffe import write_weights
from deconv_legacy.caffe._label_files import write_label_image
from deconv_legacy.cli import _images

MEAN = np.array([104.00699, 116.66877, 122.67892])
FIGURES = ("pixel_accuracy", "mean_accuracy", "mean_iu", "frequency_weighted_iu")


def save_labels(path, labels, palette=True):
    path.parent.mkdir(parents=True, exist_ok=True)
    if palette:
        write_label_image(path, labels.astype(np.uint8), _images.voc_palette())
        return path
    return save(path, labels.astype(np.uint8))


def true_labels(rows, columns, seed, classes=5):
    labels = np.random.default_rng(1000 + seed).integers(0, classes, (rows, columns))
    labels[0, : columns // 2] = 255
    return labels


def found_labels(photo, net):
    """What FCN's infer.py computes, with the net as a matrix."""
    blob = photo[:, :, ::-1].astype(np.float32)
    blob -= MEAN
    return (np.einsum("oc,hwc->ohw", net[2], blob) + net[3][:, None, None]).argmax(0)


def fcn_histogram(pairs, n):
    """compute_hist of the FCN repository's score.py, of (truth, found) pairs."""
    total = np.zeros((n, n))
    for truth, found in pairs:
        a, b = truth.flatten(), found.flatten()
        counted = (a >= 0) & (a < n)
        total += np.bincount(n * a[counted].astype(int) + b[counted], minlength=n**2).reshape(n, n)
    return total


def fcn_figures(hist):
    """do_seg_tests of the FCN repository's score.py, and accuracy and IU of each class."""
    with np.errstate(invalid="ignore"):
        accuracy = np.diag(hist) / hist.sum(1)
        iu = np.diag(hist) / (hist.sum(1) + hist.sum(0) - np.diag(hist))
    frequency = hist.sum(1) / hist.sum()
    weighted = (frequency[frequency > 0] * iu[frequency > 0]).sum()
    return [np.diag(hist).sum() / hist.sum(), np.nanmean(accuracy), np.nanmean(iu), weighted], accuracy, iu


def numbers(values):
    return np.array([np.nan if value is None else value for value in values], float)


def assert_scores(result, pairs, n=5):
    """The JSON that was printed, against FCN's formulas."""
    hist = fcn_histogram(pairs, n)
    assert result["hist"] == hist.tolist()
    assert result["pixels"] == hist.sum() and result["photos"] == len(pairs)
    figures, accuracy, iu = fcn_figures(hist)
    np.testing.assert_allclose([result[name] for name in FIGURES], figures, rtol=1e-12)
    np.testing.assert_allclose(numbers(result["accuracy"]), accuracy, rtol=1e-12)
    np.testing.assert_allclose(numbers(result["iu"]), iu, rtol=1e-12)


@pytest.fixture
def net(tmp_path):
    return pointwise(tmp_path)


@pytest.fixture
def scored(tmp_path, net):
    """Five photos of five sizes, their labels in a folder: the photos, and (truth, found) pairs."""
    photos, pairs = [], []
    for i in range(5):
        photo, truth = noise(8 + i, 13 - i, i), true_labels(8 + i, 13 - i, i)
        photos.append(save(tmp_path / "photos" / f"p{i}.png", photo))
        save_labels(tmp_path / "labels" / f"p{i}.png", truth, palette=i % 2 == 0)
        pairs.append((truth, found_labels(photo, net)))
    return photos, pairs


@pytest.fixture
def score(net, capsys):
    """Run the small net."""
    return lambda *words: Run(
        capsys, "score", *words, "--model", net[0], "--weights", net[1], "--backend", "numpy"
    )  # fmt: skip


# Numbers


def test_a_matrix_made_by_hand(tmp_path, capsys):
    """Two label images and their four classes, of which one, 3, occurs nowhere and 2 is found without being there."""
    truth = [[[0, 0, 0, 1], [1, 1, 255, 0]], [[1], [0]]]
    found = [[[0, 0, 2, 1], [0, 1, 3, 0]], [[0], [0]]]
    for i in range(2):
        save_labels(tmp_path / "labels" / f"{i}.png", np.array(truth[i]))
        save_labels(tmp_path / "found" / f"{i}.png", np.array(found[i]), palette=False)
    words = ("score", "--labels", tmp_path / "labels", "--predictions", tmp_path / "found", "--classes", 4)
    result = json.loads(Run(capsys, *words, "--json").out)
    assert result == {
        "photos": 2,
        "pixels": 9,
        "classes": ["class 0", "class 1", "class 2", "class 3"],
        "pixel_accuracy": 6 / 9,
        "mean_accuracy": pytest.approx((4 / 5 + 2 / 4) / 2),
        "mean_iu": pytest.approx((4 / 7 + 2 / 4 + 0) / 3),
        "frequency_weighted_iu": pytest.approx((5 * 4 / 7 + 4 * 2 / 4) / 9),
        "accuracy": [4 / 5, 2 / 4, None, None],
        "iu": [4 / 7, 2 / 4, 0.0, None],
        "hist": [[4, 0, 1, 0], [2, 2, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]],
    }
    lines = Run(capsys, *words).out.splitlines()
    assert lines[:4] == [
        "overall accuracy       0.66667",
        "mean accuracy          0.65000",
        "mean IU                0.35714",
        "frequency weighted IU  0.53968",
    ]
    assert [line.split() for line in lines[5:]] == [
        ["class", "name", "pixels", "accuracy", "IU"],
        ["0", "class", "0", "5", "0.80000", "0.57143"],
        ["1", "class", "1", "4", "0.50000", "0.50000"],
        ["2", "class", "2", "0", "0.00000"],
    ]


def test_a_net_on_photos_of_many_sizes(tmp_path, scored, score):
    photos, pairs = scored
    hist = tmp_path / "made" / "hist.npy"
    run = score("--labels", tmp_path / "labels", *photos, "--json", "--hist", hist)
    assert run.status == 0
    assert_scores(json.loads(run.out), pairs)
    np.testing.assert_array_equal(np.load(hist), fcn_histogram(pairs, 5))
    assert "5/5" in run.err and "checked" not in run.err  # a bar for what takes long alone
    classes = tmp_path / "classes.txt"
    classes.write_text("\n".join(_images.VOC_CLASSES[:5]) + "\n\n")
    words = ("--labels", tmp_path / "labels", *photos[1:3])
    run = score(*words, "--classes", classes, "--hist", hist.with_suffix(".json"))
    saved = json.loads(hist.with_suffix(".json").read_text())
    assert saved == {"classes": list(_images.VOC_CLASSES[:5]), "hist": fcn_histogram(pairs[1:3], 5).tolist()}
    figures = fcn_figures(fcn_histogram(pairs[1:3], 5))[0]
    assert [line.split()[-1] for line in run.out.splitlines()[:4]] == [f"{value:.5f}" for value in figures]
    assert sorted(path.name for path in hist.parent.iterdir()) == ["hist.json", "hist.npy"]


def test_labels_that_were_written_score_as_the_net_does(tmp_path, scored, score, net, capsys):
    photos, pairs = scored
    out = tmp_path / "out"
    words = ("--model", net[0], "--weights", net[1], "--backend", "numpy", "--out", out)
    assert Run(capsys, "segment", *photos, *words).status == 0
    words = ("--labels", tmp_path / "labels", "--classes", 5, "--json")
    of_net = json.loads(score(*words, *photos).out)
    for named in (photos, (), [photo.name for photo in photos]):  # of photos only the names are needed
        run = Run(capsys, "score", *words, "--predictions", out, *named)
        assert json.loads(run.out) == of_net, run.err
    run = Run(capsys, "score", *words, "--predictions", out, photos[3])
    assert_scores(json.loads(run.out), pairs[3:4])


def test_pascal_vocs_folders(tmp_path, score, net, capsys):
    ids = [f"2008_00000{i}" for i in range(3)]
    pairs = []
    for i, name in enumerate(ids):
        photo = save(tmp_path / "JPEGImages" / f"{name}.jpg", noise(9 + i, 7, i))
        truth = true_labels(9 + i, 7, i)
        save_labels(tmp_path / "SegmentationClass" / f"{name}.png", truth)
        save_labels(tmp_path / "found" / f"{name}.png", truth % 254 % 3)  # 255 becomes 1
        pairs.append((truth, found_labels(read(photo)[0], net)))
    (tmp_path / "seg11valid.txt").write_text(f"{ids[0]}\n{ids[2]}\n\n")
    lists = tmp_path / "ImageSets" / "Segmentation"
    lists.mkdir(parents=True)
    (lists / "val.txt").write_text("\r\n".join(ids))
    for split, chosen in ((tmp_path / "seg11valid.txt", pairs[::2]), ("val", pairs)):
        result = json.loads(score("--voc", tmp_path, "--split", split, "--json").out)
        assert_scores(result, chosen)
        assert result["classes"] == list(_images.VOC_CLASSES[:5])
    words = ("--voc", tmp_path, "--split", "val", "--predictions", tmp_path / "found", "--json")
    result = json.loads(Run(capsys, "score", *words).out)
    assert_scores(result, [(truth, truth % 254 % 3) for truth, _ in pairs], 21)
    assert result["classes"] == list(_images.VOC_CLASSES)


def test_sbds_mat_files(tmp_path, score, net):
    photo, truth = noise(6, 9), true_labels(6, 9, 1)
    path = save(tmp_path / "img" / "a.png", photo)
    (tmp_path / "cls").mkdir()
    labels = {"Segmentation": truth.astype(np.uint8), "CategoriesPresent": np.arange(1, 5)[:, None]}
    scipy.io.savemat(tmp_path / "cls" / "a.mat", {"GTcls": labels})
    run = score("--labels", tmp_path / "cls", path, "--json")
    assert_scores(json.loads(run.out), [(truth, found_labels(photo, net))])


def test_another_label_may_be_the_one_that_does_not_count(tmp_path, score, net):
    photo, truth = noise(6, 9), true_labels(6, 9, 1)
    truth[truth == 255] = 0
    save_labels(tmp_path / "labels" / "a.png", truth)
    run = score("--labels", tmp_path / "labels", save(tmp_path / "a.png", photo), "--json", "--ignore-label", 0)
    assert_scores(json.loads(run.out), [(np.where(truth == 0, 255, truth), found_labels(photo, net))])


def test_where_nothing_counts_nothing_is_defined(tmp_path, score):
    save_labels(tmp_path / "labels" / "a.png", np.full((6, 9), 255))
    words = ("--labels", tmp_path / "labels", save(tmp_path / "a.png", noise(6, 9)))
    result = json.loads(score(*words, "--json").out)
    assert [result[name] for name in FIGURES] == [None] * 4 and result["iu"] == [None] * 5
    assert score(*words).out.splitlines()[0] == "overall accuracy"


def test_the_shipped_net_on_pictures_of_the_script_that_trained_it(tmp_path, capsys):
    """Held-out digits over held-out photographs; its mean IU over many is 0.79."""
    pytest.importorskip("sklearn", reason="scikit-learn's handwritten digits are the generator's source")
    pytest.importorskip("skimage", reason="scikit-image's photographs are the generator's source")
    spec = importlib.util.spec_from_file_location("digits_on_photos", ROOT / "examples" / "digits_on_photos.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    photos = []
    for i in range(4):
        photo, truth = module.make_picture("held-out", 210 + 10 * i, 225, 0, i)
        photos.append(save(tmp_path / f"p{i}.png", photo))
        save_labels(tmp_path / "labels" / f"p{i}.png", truth)
    run = Run(capsys, "score", "--labels", tmp_path / "labels", *photos, "--json")
    assert run.status == 0, run.err
    result = json.loads(run.out)
    assert result["classes"] == ["background", *"0123456789"]
    assert 0.6 < result["mean_iu"] < 0.99 and result["pixel_accuracy"] > 0.9
    assert Run(capsys, "segment", *photos, "--out", tmp_path / "out").status == 0
    files = ("labels/p{}.png", "out/p{}_labels.png")
    pairs = [tuple(read(tmp_path / file.format(i))[0] for file in files) for i in range(4)]
    assert_scores(result, pairs, 11)


def test_readmes_example_photo_lies_beside_its_labels(capsys):
    examples = ROOT / "examples"
    run = Run(capsys, "score", "--labels", examples, examples / "photo.png", "--json")
    result = json.loads(run.out)
    assert result["mean_iu"] > 0.9  # 0.96 when it was made
    truth = read(examples / "photo_labels.png")[0]
    assert np.sum(result["hist"], axis=1).tolist() == np.bincount(truth.ravel(), minlength=11).tolist()


def test_another_number_of_classes_than_the_net_has(tmp_path, scored, score):
    photos, _ = scored
    words = ("--labels", tmp_path / "labels", *photos)
    assert score(*words, "--classes", "voc").error() == "--classes voc: 21 classes, but the net's 'score' has 5"
    message = score(*words, "--classes", "none.txt").error()
    assert message == "--classes none.txt: neither voc, nor a number, nor a file that is there"


def test_a_split_that_is_not_there_or_empty(tmp_path, capsys):
    lists = tmp_path / "ImageSets" / "Segmentation"
    lists.mkdir(parents=True)
    (lists / "val.txt").write_text("\n")
    (lists / "train.txt").write_text("a\n")
    words = ("score", "--voc", tmp_path, "--split")
    assert Run(capsys, *words, "vall").error().endswith(f"vall.txt; {lists} has train, val")
    assert Run(capsys, *words, "seg11valid.txt").error().endswith(f"seg11valid.txt; {lists} has train, val")
    assert Run(capsys, *words, "val").error() == f"--split val: the list {lists / 'val.txt'} is empty"


# What is refused: one line, and no progress bar, so that nothing was computed


def test_what_is_wrong_with_labels_is_told_with_their_names(tmp_path, scored, score):
    photos, pairs = scored
    words = ("--labels", tmp_path / "labels", *photos)
    good = pairs[1][0]
    path = tmp_path / "labels" / "p1.png"
    path.unlink()
    assert score(*words).error().startswith("there are no labels of 'p1'")
    save_labels(path, good.T)
    assert score(*words).error() == f"{path} is 12 x 9 (rows x columns), {photos[1]} is 9 x 12"
    save_labels(path, np.where(good == 3, 7, good))
    message = f"{path}: labels 7; legal are 0 .. 4, and 255 where pixels do not count"
    assert score(*words).error() == message
    save(path, noise(9, 12))
    assert score(*words).error() == f"{path}: labels are a palette or a grey image; this one is RGB"
    path.write_bytes(b"nothing")
    assert f"{path}: not an image that can be read" in score(*words).error()
    save_labels(path, good)
    photos[2].write_bytes(photos[2].read_bytes()[:-30])
    assert f"{photos[2]}: the photo cannot be read" in score(*words).error()


def test_everything_that_is_wrong_is_counted_and_listed(tmp_path, scored, score):
    photos, _ = scored
    words = ("--labels", tmp_path / "labels", *photos)
    for i in (1, 3, 4):
        (tmp_path / "labels" / f"p{i}.png").unlink()
    message = score(*words).error()
    none = "there are no labels of 'p{0}': no p{0}_labels.png or p{0}.png or p{0}.mat in {1}"
    missing = [none.format(i, tmp_path / "labels") for i in (1, 3, 4)]
    assert message == f"{missing[0]} (3 problems in all; --debug lists them)"
    listed = score(*words, "--debug").err
    assert "\n  ".join(["3 problems in all:", *missing]) in listed


def test_predictions_are_checked_too(tmp_path, scored, capsys):
    _, pairs = scored
    for i, (_, found) in enumerate(pairs):
        save_labels(tmp_path / "found" / f"p{i}.png", found)
    words = ("score", "--labels", tmp_path / "labels", "--predictions", tmp_path / "found")
    assert Run(capsys, *words, "--classes", 5).status == 0
    path = tmp_path / "found" / "p2.png"
    save_labels(path, np.where(pairs[2][1] == 1, 255, 0))  # which is legal in the truth alone
    assert Run(capsys, *words, "--classes", 5).error() == f"{path}: labels 255; legal are 0 .. 4"
    save_labels(path, pairs[1][1])
    assert (
        f"{tmp_path / 'labels' / 'p2.png'} is 10 x 11 (rows x columns), {path} is 9 x 12"
        in Run(capsys, *words, "--classes", 5).error()
    )
    path.unlink()
    assert Run(capsys, *words, "--classes", 5).error().startswith("there are no labels of 'p2'")
    assert "2 to 256 classes, not 0; --classes says them" in Run(capsys, *words).error()
    assert "2 to 256 classes, not 257" in Run(capsys, *words, "--classes", 257).error()
    assert "no net runs, and --output-blob has no meaning" in Run(capsys, *words, "--output-blob", "x").error()
    (tmp_path / "empty").mkdir()
    words = ("score", "--labels", tmp_path / "empty", "--predictions", tmp_path / "found", "--classes", 5)
    assert Run(capsys, *words).error() == f"no photo to score with the labels in {tmp_path / 'empty'}; name some"


def test_a_net_whose_output_is_of_another_size(tmp_path, scored, score, net):
    photos, _ = scored
    net[0].write_text(POINTWISE.replace("kernel_size: 1", "kernel_size: 1 stride: 2"))
    message = score("--labels", tmp_path / "labels", photos[0]).error()
    assert message == (
        f"{photos[0]}: the net's output 'score' would be 4 x 7 (rows x columns), the photo and its labels are 8 x 13; "
        "a net is scored pixel by pixel"
    )


def test_a_photo_that_is_too_small_inside_the_net(tmp_path, scored, score, net, capsys):
    """Its output would have the right size all the same."""
    photos, _ = scored
    net[0].write_text(
        POINTWISE.replace("kernel_size: 1", "kernel_size: 9").replace('"score"', '"small"')
        + 'layer { name: "up" type: "Deconvolution" bottom: "small" top: "score"'
        "        convolution_param { num_output: 5 kernel_size: 9 } }"
    )
    write_weights(
        net[1],
        {"classify": [np.ones((5, 3, 9, 9)), np.ones(5)], "up": [np.ones((5, 5, 9, 9)), np.ones(5)]},
    )
    message = f"{photos[0]}: classify (ConvolutionLayer)"
    last = "axis 2: a kernel of 9 is larger than the input of size 8"
    words = ("--model", net[0], "--weights", net[1], "--backend", "numpy", "--out", tmp_path / "out")
    for run in (score("--labels", tmp_path / "labels", photos[0]), Run(capsys, "segment", photos[0], *words)):
        assert run.status == 2 and message in run.err and run.err.endswith(f"{last}\n")


SKIP = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: [1, 3, 20, 30] } } }
layer { name: "fine" type: "Convolution" bottom: "data" top: "fine"
        convolution_param { num_output: 5 kernel_size: 1 } }
layer { name: "pool" type: "Pooling" bottom: "fine" top: "pool"
        pooling_param { pool: MAX kernel_size: 3 stride: 2 } }
layer { name: "up" type: "Deconvolution" bottom: "pool" top: "up"
        convolution_param { num_output: 5 kernel_size: 2 stride: 2 } }
layer { name: "fuse" type: "Eltwise" bottom: "up" bottom: "fine" top: "fuse" }
layer { name: "wide" type: "Deconvolution" bottom: "fuse" top: "wide"
        convolution_param { num_output: 5 kernel_size: 3 } }
layer { name: "score" type: "Crop" bottom: "wide" bottom: "data" top: "score"
        crop_param { axis: 2 offset: 1 } }
"""


def test_a_net_that_does_not_fit_a_photo_inside(tmp_path, scored, score, net, capsys):
    """A skip connection that is not cropped takes even sizes only."""
    photos, _ = scored  # of 8 x 13, 9 x 12, ...
    net[0].write_text(SKIP)
    rng = np.random.default_rng(0)
    shapes = {"fine": (5, 3, 1, 1), "up": (5, 5, 2, 2), "wide": (5, 5, 3, 3)}
    write_weights(net[1], {name: [rng.standard_normal(shape), np.ones(5)] for name, shape in shapes.items()})
    save_labels(tmp_path / "labels" / "even.png", true_labels(10, 14, 9))
    even = save(tmp_path / "photos" / "even.png", noise(10, 14))
    words = ("--model", net[0], "--weights", net[1], "--backend", "numpy", "--out", tmp_path / "out")
    for command in (("score", "--labels", tmp_path / "labels", *words[:-2]), ("segment", *words)):
        assert Run(capsys, *command, even).status == 0
        run = Run(capsys, *command, even, photos[0])
        shapes = "(1, 5, 8, 12) and (1, 5, 8, 13)"
        message = f"{photos[0]}: fuse (EltwiseLayer): inputs of the shapes {shapes} must be of one size\n"
        assert run.status == 2 and run.err.endswith(message)


def test_one_output_is_scored(tmp_path, capsys):
    rng = np.random.default_rng(0)
    names = {"score_sem": 4, "score_geo": 3}
    (tmp_path / "net.prototxt").write_text(
        'input: "data" input_shape { dim: [1, 3, 9, 9] }'
        + "".join(
            f'layer {{ name: "{name}" type: "Convolution" bottom: "data" top: "{name}"'
            f" convolution_param {{ num_output: {outputs} kernel_size: 1 }} }}"
            for name, outputs in names.items()
        )
    )
    weights = {name: [rng.standard_normal((n, 3, 1, 1)), 99 * rng.standard_normal(n)] for name, n in names.items()}
    write_weights(tmp_path / "net.caffemodel", weights)
    photo, truth = noise(6, 10), true_labels(6, 10, 3, classes=3)
    save_labels(tmp_path / "labels" / "a.png", truth)
    words = ["score", "--labels", tmp_path / "labels", save(tmp_path / "a.png", photo), "--backend", "numpy", "--json"]
    words += ["--model", tmp_path / "net.prototxt", "--weights", tmp_path / "net.caffemodel"]
    assert Run(capsys, *words).error() == (
        "the net has several outputs, and one is scored: --output-blob score_geo or score_sem"
    )
    for name, classes in names.items():
        w, b = weights[name]
        found = found_labels(photo, (None, None, w[:, :, 0, 0].astype("f"), b.astype("f")))
        assert_scores(json.loads(Run(capsys, *words, "--output-blob", name).out), [(truth, found)], classes)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "one of the arguments --labels --voc is required"),
        (["--labels", "{dir}", "--voc", "{dir}"], "not allowed with argument --labels"),
        (["--labels", "{dir}"], "no photo to score with the labels in"),
        (["--labels", "{dir}", "--split", "val", "{dir}/a.png"], "--voc and --split go together"),
        (["--voc", "{dir}"], "--voc and --split go together"),
        (
            ["--voc", "{dir}", "--split", "val"],
            "has no ImageSets/Segmentation; it is the folder that has JPEGImages in it",
        ),
        (["--voc", "{dir}", "--split", "{dir}/val.txt"], "has no ImageSets/Segmentation"),
        (["--voc", "{dir}", "--split", "val", "x.jpg"], "which photos of --voc are scored, and x.jpg is named too"),
        (["--labels", "{dir}", "a/x.jpg", "b/x.jpg"], "a/x.jpg and b/x.jpg have the same labels"),
        (["--labels", "{dir}", "x.jpg", "--hist", "{dir}/h.csv"], "h.csv: a confusion matrix is .npy or .json"),
        (["--labels", "{dir}", "x.jpg", "--model", "m.prototxt"], "--model and --weights go together"),
    ],
    ids=str,
)
def test_arguments_that_do_not_fit(tmp_path, capsys, words, message):
    words = [word.format(dir=tmp_path) for word in words]
    assert message.format(dir=tmp_path) in Run(capsys, "score", *words).error()
    assert list(tmp_path.iterdir()) == []
