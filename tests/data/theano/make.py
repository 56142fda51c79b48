"""Makes deconvolutions.npz with real Theano 1.0.5 (Python 3.8, numpy 1.21.6, scipy 1.7.3): python make.py

Every number is a small multiple of 1/4, so that float32 sums are exact in any order. `notes` are the cases as json,
with the sizes that were tried on each axis and those that Theano took. For the smallest and the largest of them: the
deconvolution y of x and w, and the gradients gx and gw for a gradient g of y.
"""

import json

import numpy as np
import theano
import theano.tensor as T
from theano.tensor.nnet.abstract_conv import conv2d_grad_wrt_inputs, conv3d_grad_wrt_inputs

CASES = [
    dict(n=(3, 4), batch=2, filter_shape=(3, 2, 4, 3), stride=(2, 3), pad=(0, 0), flip=True),
    dict(n=(3, 4), batch=2, filter_shape=(3, 2, 4, 3), stride=(2, 3), pad=(0, 0), flip=False),
    dict(n=(2, 5), batch=1, filter_shape=(2, 5, 3, 5), stride=(3, 2), pad=(1, 2), flip=True),
    dict(n=(4, 3), batch=3, filter_shape=(4, 3, 2, 3), stride=(4, 2), pad="half", flip=True),
    dict(n=(7, 6), batch=1, filter_shape=(3, 2, 4, 3), stride=(2, 1), pad="full", flip=False),
    dict(n=(3, 2), batch=2, filter_shape=(6, 2, 3, 2), stride=(2, 3), pad=(1, 0), flip=True, dilation=(2, 3), groups=3),
    dict(n=(2, 3, 2), batch=2, filter_shape=(3, 2, 3, 2, 4), stride=(2, 3, 1), pad=(1, 0, 2), flip=True),
]


def dyadic(rng, shape):
    return (rng.randint(-8, 9, shape) / 4.0).astype("float32")


def variable(name, ndim):
    return T.TensorType("float32", (False,) * ndim)(name)


class Deconvolution:
    """One case, as the users of 2015 wrote it."""

    def __init__(self, case, rng):
        self.case = dict(case)
        self.ndim = len(case["n"])
        self.case.setdefault("dilation", (1,) * self.ndim)
        self.case.setdefault("groups", 1)
        self.x, self.w = variable("x", self.ndim + 2), variable("w", self.ndim + 2)
        self.arrays = {
            "x": dyadic(rng, (case["batch"], case["filter_shape"][0]) + case["n"]),
            "w": dyadic(rng, case["filter_shape"]),
        }

    def output(self, size):
        case = self.case
        return (conv2d_grad_wrt_inputs if self.ndim == 2 else conv3d_grad_wrt_inputs)(
            self.x,
            self.w,
            input_shape=(None, case["filter_shape"][1] * case["groups"]) + tuple(size),
            filter_shape=case["filter_shape"],
            border_mode=case["pad"],
            subsample=case["stride"],
            filter_flip=case["flip"],
            filter_dilation=case["dilation"],
            **(dict(num_groups=case["groups"]) if case["groups"] > 1 else {}),
        )

    def runs(self, size):
        try:
            function = theano.function([self.x, self.w], self.output(size))
            return function(self.arrays["x"], self.arrays["w"]).shape[2:] == tuple(size)
        except ValueError:
            return False

    def smallest(self, axis):
        case = self.case
        span = case["dilation"][axis] * (case["filter_shape"][2 + axis] - 1) + 1
        pad = case["pad"] if isinstance(case["pad"], str) else case["pad"][axis]
        pad = {"half": span // 2, "full": span - 1}.get(pad, pad)
        return case["stride"][axis] * (case["n"][axis] - 1) + span - 2 * pad

    def record(self, rng):
        smallest = [self.smallest(axis) for axis in range(self.ndim)]
        # each axis by itself, the others at a size that works
        tried = [list(range(1, size + self.case["stride"][axis] + 5)) for axis, size in enumerate(smallest)]
        legal = [
            [o for o in sizes if self.runs(smallest[:axis] + [o] + smallest[axis + 1 :])]
            for axis, sizes in enumerate(tried)
        ]
        self.case.update(tried=tried, legal=legal)
        inputs = self.arrays["x"], self.arrays["w"]
        for name, pick in (("smallest", 0), ("largest", -1)):
            y, g = self.output([sizes[pick] for sizes in legal]), variable("g", self.ndim + 2)
            value = theano.function([self.x, self.w], y)(*inputs)
            g0 = dyadic(rng, value.shape)
            gradients = T.grad(None, [self.x, self.w], known_grads={y: g})
            gx, gw = theano.function([self.x, self.w, g], gradients)(*(inputs + (g0,)))
            self.arrays.update({name + "/y": value, name + "/g": g0, name + "/gx": gx, name + "/gw": gw})


def main():
    rng = np.random.RandomState(7)
    notes, arrays = [], {}
    for number, case in enumerate(CASES):
        deconvolution = Deconvolution(case, rng)
        deconvolution.record(rng)
        notes.append(deconvolution.case)
        arrays.update({f"{number}/{name}": array for name, array in deconvolution.arrays.items()})
    np.savez_compressed("deconvolutions.npz", notes=np.array(json.dumps(notes)), **arrays)


if __name__ == "__main__":
    main()
