"""FCN-32s' sizes: pad 100, upscore by 32, crop by 19. Where the numbers come from, and what the post gets wrong.

python examples/fcn_pad_100.py
"""

from __future__ import annotations

import numpy as np
from _example import draw, options

from deconv_legacy import geometry
from deconv_legacy.layers import InputLayer, path_between
from deconv_legacy.networks import fcn8s, fcn16s, fcn32s, fcn_alexnet

WIDTH = 1 / 64  # sizes do not depend on the number of channels


def main(argv=None):
    arguments = options(__doc__, argv)
    found = {"sizes": {}}
    print("FCN-32s, from the layers: image -> score, upscore, cropped, offset")
    for size in (500, 224, 1):
        net = fcn32s(width=WIDTH, input=InputLayer((1, 3, size, size)), rng=0)
        names = ("score_fr", "upscore", "score")
        found["sizes"][size] = (*(net[name].output_shape[2] for name in names), net["score"].offset[0])
        print(f"   {size} -> {found['sizes'][size]}")
    found["offsets"] = [
        *(fcn16s(width=WIDTH, rng=0)[name].offset[0] for name in ("score_pool4c", "score")),
        *(fcn8s(width=WIDTH, rng=0)[name].offset[0] for name in ("score_pool4c", "score_pool3c", "score")),
        fcn_alexnet(width=WIDTH, rng=0)["score"].offset[0],
    ]
    print(f"Offsets of FCN-16s, FCN-8s and FCN-AlexNet, derived and nowhere written: {found['offsets']}")

    net = fcn32s(width=WIDTH, rng=0)
    path = path_between(net["data"], net["upscore"], axis=2)
    found["least"] = geometry.least_pad(path)
    print(f"The least pad with which the crop fits for every image, down to one pixel: {found['least']}")
    found["span"] = geometry.receptive_field(path[:-1]).span(0)
    print(f'"What is cropped away comes from the zero padding only" is false: score cell 0 sees pixels {found["span"]}')
    print("   It is cropped because it lies outside of the image: size and alignment, nothing else.")

    # the real thing, once: the cropped-away rows depend on the image
    size = 40
    x = np.zeros((1, 3, size, size), "float32")
    function = net.function("upscore", backend="numpy")
    net.load({"score_fr": [np.ones_like(net["score_fr"].W.get_value()), np.zeros(21)]}, missing=True)
    difference = np.abs(function(x + 1) - function(x))[0, 0]
    found["rows"] = np.flatnonzero(difference.max(axis=1) > 0)[[0, -1]].tolist()
    print(f"   An image of {size} rows changes rows {found['rows']} of the upscore; the crop keeps 19 to {18 + size}")

    def paint(figure):
        axis = figure.subplots()
        images = np.arange(1, 601)
        axis.plot(images, [geometry.chain_sizes(int(n), path)[-1] for n in images], label="upscore")
        axis.plot(images, 19 + images, label="19 + image: where the crop ends")
        axis.plot(images, images, "k:", lw=1, label="image")
        axis.set(xlabel="image size", title="With pad 100 the crop always fits")
        axis.legend()

    found["picture"] = draw(arguments.out / "fcn_pad_100.png", paint)
    return found


if __name__ == "__main__":
    main()
