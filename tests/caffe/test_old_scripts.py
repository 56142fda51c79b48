"""`deconv-legacy run` with a folder of an FCN's form: Python 2, helpers in the folder above, an own data layer."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from deconv_legacy import engine

ROOT = Path(__file__).parents[2]

HELPERS = """from __future__ import division
import caffe
import numpy as np

def ramp(net, names):
    for n in names:
        print 'ramp', n, net.params[n][0].data.shape
        net.params[n][0].data[...] = np.arange(4).reshape(2, 2) / 4
"""
LAYERS = """import caffe
import random
import numpy as np

class Stripes(caffe.Layer):
    def setup(self, bottom, top):
        params = eval(self.param_str)
        self.sizes = [map(int, line.split()) for line in open(params['list'])]
        random.seed(params['seed'])
        self.idx = random.randint(0, len(self.sizes) - 1)

    def reshape(self, bottom, top):
        rows, columns = self.sizes[self.idx]
        self.label = np.arange(rows * columns).reshape(1, 1, rows, columns) % 2
        top[0].reshape(1, 1, rows, columns)
        top[1].reshape(*self.label.shape)

    def forward(self, bottom, top):
        top[0].data[...] = self.label - .5
        top[1].data[...] = self.label
        print 'size', self.sizes[self.idx]
        self.idx = random.randint(0, len(self.sizes) - 1)

    def backward(self, top, propagate_down, bottom):
        pass
"""
NET = """import caffe
from caffe import layers as L, params as P
from caffe.coord_map import crop

def fcn(split):
    n = caffe.NetSpec()
    n.data, n.label = L.Python(module='stripes', layer='Stripes', ntop=2,
            param_str=str(dict(list='../data/%s.txt' % split, seed=1337)))
    n.conv, = L.Convolution(n.data, num_output=2, kernel_size=2, stride=2, pad=6,
        param=[dict(lr_mult=1), dict(lr_mult=2, decay_mult=0)]),
    n.relu = L.ReLU(n.conv, in_place=True)
    n.up = L.Deconvolution(n.relu, convolution_param=dict(num_output=2, kernel_size=2, stride=2,
        bias_term=False), param=[dict(lr_mult=0)])
    n.score = crop(n.up, n.data)
    n.loss = L.SoftmaxWithLoss(n.score, n.label, loss_param=dict(normalize=True, ignore_label=255))
    return n.to_proto()

for split in ('train', 'val'):
    with open(split + '.prototxt', 'w') as f:
        f.write(str(fcn(split)))
"""
SOLVE = """import caffe
import helpers, score
import numpy as np
import os, sys

caffe.set_device(int(sys.argv[1]))
caffe.set_mode_gpu()
solver = caffe.SGDSolver('solver.prototxt')
first = solver.net.params.keys()[0]
helpers.ramp(solver.net, [k for k in solver.net.params.keys() if 'up' in k])
val = np.loadtxt('../data/names.txt', dtype=str)
for _ in xrange(2):
    solver.step(2)
    score.seg_tests(solver, False, val, layer='score')
print first, solver.iter, 7 / 2, os.path.basename(sys.argv[0]), __file__
"""
SOLVER = """train_net: "train.prototxt" test_net: "val.prototxt" test_iter: 9 test_interval: 999999
base_lr: 0.1 lr_policy: "fixed" momentum: 0.9 snapshot: 2 snapshot_prefix: "snap" test_initialization: false"""


@pytest.fixture
def old(tmp_path):
    """The folder of a net, its data beside it, and its helpers above."""
    folder = tmp_path / "net"
    (tmp_path / "data").mkdir()
    folder.mkdir()
    for name, text in {
        "helpers.py": HELPERS,
        "stripes.py": LAYERS,
        "net/net.py": NET,
        "net/solve.py": SOLVE,
        "net/solver.prototxt": SOLVER,
        "data/train.txt": "4 6\n6 5\n3 3\n8 7\n",
        "data/val.txt": "5 4\n",
        "data/names.txt": "a\nb\n",
    }.items():
        (tmp_path / name).write_text(text)
    return folder


def run(folder, *words, ok=True):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "AESARA_FLAGS": "cxx="}  # NumPy: the nets are tiny
    done = subprocess.run(
        [sys.executable, "-m", "deconv_legacy", "run", *words],
        cwd=folder, env=environment, capture_output=True, text=True,
    )  # fmt: skip
    assert (done.returncode == 0) is ok, done.stdout + done.stderr
    return done


def test_a_folder_runs_unchanged(old):
    before = {path: path.read_bytes() for path in old.parent.rglob("*.py")}
    run(old, "net.py")
    train = (old / "train.prototxt").read_text()
    assert 'module: "stripes"' in train and "offset: 6" in train
    done = run(old, "solve.py", "0")
    out = done.stdout.splitlines()
    assert "ramp up (2, 2, 2, 2)" in out
    assert out[-1] == "conv 4 3 solve.py solve.py"
    # Python 2's draws of four; the nets share the module random, and each seeds it
    draw = random.Random(1337)
    d = [int(draw.random() * 4) for _ in range(7)]
    train, val = [f"size {size}" for size in ([4, 6], [6, 5], [3, 3], [8, 7])], ["size [5, 4]"] * 2
    expected = [train[d[0]], train[d[1]], *val, train[d[2]], train[d[5]], *val]
    assert [line for line in out if line.startswith("size")] == expected
    assert sum("mean IU" in line for line in out) == 2
    assert sorted(path.name for path in old.glob("snap*")) == [
        "snap_iter_2.caffemodel", "snap_iter_2.solverstate", "snap_iter_4.caffemodel", "snap_iter_4.solverstate",
    ]  # fmt: skip
    assert {path: path.read_bytes() for path in old.parent.rglob("*.py")} == before
    assert not list(old.parent.rglob("__pycache__"))
    told = [line.split("'")[1] for line in done.stderr.splitlines() if "bridge" in line]
    assert sorted(told) == ["parent", "python2", "random"]
    assert "no module score beside the script: that is deconv_legacy.caffe.score" in done.stderr
    if engine.gpu_backend(0) is None:
        assert done.stderr.count("caffe.set_mode_gpu: no GPU 0") == 1


def test_what_is_left_out_fails_as_in_python(old):
    done = run(old, "--without", "parent", "solve.py", "0", ok=False)
    assert done.returncode == 1 and "No module named 'helpers'" in done.stderr
    (old / "own.py").write_text("from caffe.nothing import x\n")
    done = run(old, "own.py", ok=False)
    assert "there is no module caffe.nothing" in done.stderr


def test_modules_are_the_packages_own(old):
    (old / "own.py").write_text(
        "import caffe, caffe.io, caffe.proto.caffe_pb2, sys\nimport deconv_legacy.caffe as ours\n"
        "assert caffe is ours and caffe.io is ours.io\n"
        "assert sys.modules['caffe.proto.caffe_pb2'] is ours.proto.caffe_pb2\n"
        "assert ours.__spec__.name == 'deconv_legacy.caffe' and ours.io.__spec__.name == 'deconv_legacy.caffe.io'\n"
        "assert not hasattr(ours.io, '__path__')\n"
    )
    run(old, "own.py")
