"""A training that is killed at any moment and goes on from its last snapshot ends as one that was never stopped."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

LAYER = """import caffe, random
import numpy as np

class Draws(caffe.Layer):
    '''Data from every kind of stream: the process's two, and generators of its own.'''

    def setup(self, bottom, top):
        random.seed(3)
        np.random.seed(4)
        self.idx, self.order, self.names = 0, np.arange(10), ['a', 'b', 'c', 'd']
        self.old, self.new, self.own = np.random.RandomState(4), np.random.default_rng(5), random.Random(6)

    def reshape(self, bottom, top):
        top[0].reshape(4, 3)
        top[1].reshape(4, 2)

    def forward(self, bottom, top):
        top[0].data[...] = self.order[self.idx] / 9 + self.old.randn(4, 3) + self.new.normal(size=(4, 3))
        top[1].data[...] = self.own.random() + self.names.index('a')
        self.idx = random.randint(0, 9)
        if self.idx % 3 == 0:
            np.random.shuffle(self.order)
            random.shuffle(self.names)

    def backward(self, top, propagate_down, bottom):
        pass
"""
NET = """name: "small"
layer { name: "d" type: "Python" top: "x" top: "t" python_param { module: "draws" layer: "Draws" } }
layer { name: "noise" type: "DummyData" top: "n" dummy_data_param { shape { dim: [4, 3] }
        data_filler { type: "gaussian" } } }
layer { name: "sum" type: "Eltwise" bottom: "x" bottom: "n" top: "s" }
layer { name: "drop" type: "Dropout" bottom: "s" top: "y" dropout_param { dropout_ratio: 0.25 } }
layer { name: "ip" type: "InnerProduct" bottom: "y" top: "ip"
        inner_product_param { num_output: 2 weight_filler { type: "gaussian" std: 0.1 } } }
layer { name: "loss" type: "EuclideanLoss" bottom: "ip" bottom: "t" top: "loss" }
"""
SOLVER = """net: "net.prototxt" base_lr: 0.05 momentum: 0.9 type: "%s" lr_policy: "multistep" gamma: 0.5
stepvalue: 7 stepvalue: 20 max_iter: 40 snapshot: 3 snapshot_prefix: "PLACE/s" snapshot_format: %s iter_size: 2
test_iter: 1 test_interval: 4 random_seed: 8 weight_decay: 0.01"""

DRIVER = """import json, os, random, signal, sys
from pathlib import Path
sys.path.insert(0, os.getcwd())
from deconv_legacy import caffe
from deconv_legacy.cli.train import newest_snapshot
caffe.install()

def solver(place):
    param = caffe.read_solver('solver.prototxt')
    param.snapshot_prefix = place + '/s'
    made = caffe.get_solver(param)
    made.log = lambda text: None
    return made

def weights(made):
    return [blob.data.tolist() for blobs in made.net.params.values() for blob in blobs]

def event(*args):
    # a moment to be killed at: a step, a line of the log, a file that is about to be renamed
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)

def child(count, state):
    global left
    left = count
    rename = Path.replace
    Path.replace = lambda self, target: (event(), rename(self, target))[1]
    again = solver('killed')
    again.log = event
    again.after_step.append(event)
    again.solve(state)

whole = solver('whole')
whole.solve()
moment = random.Random(int(sys.argv[1]))
killed, at = 0, []
while True:
    at.append(newest_snapshot('killed/s'))
    count = moment.randrange(5, 40)
    number = os.fork()
    if not number:
        child(count, at[-1])
        os._exit(0)
    if os.waitpid(number, 0)[1] == 0:
        break
    killed += 1
last = solver('killed')
last.restore(newest_snapshot('killed/s'))
print(json.dumps({'same': weights(last) == weights(whole), 'iter': last.iter, 'killed': killed, 'from': len(set(at))}))
"""


@pytest.mark.parametrize("kind, form", [("SGD", "BINARYPROTO"), ("Adam", "HDF5")])
def test_killed_and_restored(tmp_path, kind, form):
    (tmp_path / "draws.py").write_text(LAYER)
    (tmp_path / "net.prototxt").write_text(NET)
    (tmp_path / "solver.prototxt").write_text(SOLVER % (kind, form))
    environment = {
        **os.environ, "PYTHONPATH": str(ROOT), "AESARA_FLAGS": "cxx=", "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", DRIVER, "7"], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["same"] and found["iter"] == 40
    assert found["killed"] > 3 and found["from"] > 3
    # nothing half-written under a name that is read
    from deconv_legacy.caffe.caffemodel import read_solverstate

    states = sorted((tmp_path / "killed").glob("s_iter_*.solverstate*"))
    assert len(states) == 14 and all(read_solverstate(path).iter for path in states)


@pytest.mark.parametrize("batches", [0, 1, 7])
def test_data_layers_go_on_where_they_stood(tmp_path, monkeypatch, batches):
    """HDF5Data and ImageData, shuffled, over several files, and a data set's layer: as many batches as it takes."""
    import h5py
    import numpy as np
    from segmentation_data import picture, save_image, voc

    from deconv_legacy import caffe
    from deconv_legacy.caffe import _streams

    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for number in range(3):
        with h5py.File(f"{number}.h5", "w") as file:
            file["x"] = rng.normal(size=(4 + number, 2)).astype(np.float32)
    Path("list.txt").write_text("0.h5\n1.h5\n2.h5\n")
    for number in range(5):
        save_image(tmp_path / f"{number}.png", picture("a_1") // (number + 1))
    Path("images.txt").write_text("".join(f"{number}.png {number}\n" for number in range(5)))
    voc(tmp_path / "VOC")
    mean = {"voc_dir": "VOC", "split": "train", "mean": (1, 2, 3)}
    text = f"""
        layer {{ name: "h" type: "HDF5Data" top: "x"
                hdf5_data_param {{ source: "list.txt" batch_size: 3 shuffle: true }} }}
        layer {{ name: "i" type: "ImageData" top: "image" top: "number" transform_param {{ mirror: true crop_size: 5 }}
                image_data_param {{ source: "images.txt" batch_size: 2 shuffle: true }} }}
        layer {{ name: "v" type: "Python" top: "data" top: "label" python_param {{ module: "voc_layers"
                layer: "VOCSegDataLayer" param_str: "{mean}" }} }}"""

    def draw(net):
        return [values.copy() for values in net.forward().values()]

    caffe.set_random_seed(1)
    first = caffe.Net(caffe.parse_net(text), caffe.TRAIN)
    start = _streams.layer_values(first)
    for _ in range(batches):
        draw(first)
    saved = json.loads(json.dumps(_streams.collect([first], [start])))
    expected = [draw(first) for _ in range(9)]
    caffe.set_random_seed(2)
    second = caffe.Net(caffe.parse_net(text), caffe.TRAIN)
    draw(second)
    _streams.restore(saved, [second])
    for batch in expected:
        for mine, its in zip(draw(second), batch, strict=True):
            np.testing.assert_array_equal(mine, its)
