"""Tiny data sets in the folder layouts of PASCAL VOC, SBDD, NYUDv2, SIFT Flow and PASCAL-Context."""

from __future__ import annotations

import numpy as np
import scipy.io
from PIL import Image

OUTDOOR = "spatial_envelope_256x256_static_8outdoorcategories"
SIZES = {"a_1": (9, 13), "b_2": (12, 8), "c_3": (10, 11)}


def rng(index):
    return np.random.default_rng(list(SIZES).index(index))


def picture(index):
    return rng(index).integers(0, 256, (*SIZES[index], 3), np.uint8)


def labels(index, low, high):
    return rng(index).integers(low, high + 1, SIZES[index])


def save_image(path, array, mode=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(array)
    if mode == "P":
        image.putpalette([7 * i % 256 for i in range(768)])
    image.save(path)


def save_mat(path, **values):
    path.parent.mkdir(parents=True, exist_ok=True)
    scipy.io.savemat(path, values)


def save_list(path, names=SIZES):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{name}\n" for name in names))


def voc(folder):
    for index in SIZES:
        save_image(folder / "JPEGImages" / f"{index}.jpg", picture(index))
        label = labels(index, 0, 20).astype(np.uint8)
        label[0, :3] = 255
        save_image(folder / "SegmentationClass" / f"{index}.png", label, "P")
    for split in ("train", "val"):
        save_list(folder / "ImageSets" / "Segmentation" / f"{split}.txt")


def sbdd(folder):
    for index in SIZES:
        save_image(folder / "img" / f"{index}.jpg", picture(index))
        label = labels(index, 0, 20).astype(np.uint8)
        save_mat(folder / "cls" / f"{index}.mat", GTcls={"Segmentation": label, "CategoriesPresent": np.unique(label)})
    save_list(folder / "train.txt")


def nyud(folder):
    for index in SIZES:
        for kind in ("images", "hha"):
            save_image(folder / "data" / kind / f"img_{index}.png", picture(index))
        save_image(folder / "data" / "depth" / f"img_{index}.png", (labels(index, 1, 9000)).astype(np.uint16))
        save_mat(folder / "segmentation" / f"img_{index}.mat", segmentation=labels(index, 0, 40).astype(np.uint8))
    for split in ("trainval", "test"):
        save_list(folder / f"{split}.txt")


def siftflow(folder):
    for index in SIZES:
        save_image(folder / "Images" / OUTDOOR / f"{index}.jpg", picture(index))
        save_mat(folder / "SemanticLabels" / OUTDOOR / f"{index}.mat", S=labels(index, 0, 33).astype(np.uint8))
        geometric = labels(index, 0, 3).astype(np.int16)
        geometric[geometric == 0] = -1
        save_mat(folder / "GeoLabels" / OUTDOOR / f"{index}.mat", S=geometric)
    for split in ("trainval", "test"):
        save_list(folder / f"{split}.txt")


ALL_400 = ["air conditioner", "cloth", "sky", "table", "bedclothes", "tree", "aeroplane"]
TASK = ["aeroplane", "diningtable", "bedcloth", "clothes", "tree"]


def context(voc_dir, context_dir):
    for index in SIZES:
        save_image(voc_dir / "VOC2010" / "JPEGImages" / f"{index}.jpg", picture(index))
        save_mat(context_dir / "trainval" / f"{index}.mat", LabelMap=labels(index, 0, len(ALL_400)).astype(np.uint16))
    for split in ("train", "val"):
        save_list(voc_dir / "VOC2010" / "ImageSets" / "Main" / f"{split}.txt")
    for file, names in (("labels.txt", ALL_400), ("59_labels.txt", TASK)):
        (context_dir / file).write_text("".join(f"{i}: {name}\n" for i, name in enumerate(names, 1)))
