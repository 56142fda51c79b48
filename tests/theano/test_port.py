"""`deconv-legacy port`: old names become those of today; what cannot be decided is said."""

import ast

from deconv_legacy.theano.port import port_source

OLD = '''\
"""A script."""
from __future__ import print_function
import numpy as np, theano
import theano.tensor as T
from theano import tensor, config
from theano.tensor.nnet import conv2d
from theano.tensor.nnet.abstract_conv import conv2d_grad_wrt_inputs as deconv
from theano.tensor.signal.downsample import max_pool_2d
from theano.tensor.signal import pool
from theano.sandbox.rng_mrg import MRG_RandomStreams as RandomStreams
from theano.tensor.shared_randomstreams import RandomStreams as Old

theano.config.floatX = "float32"  # stays
config.blas.ldflags
streams = RandomStreams(1)
x = T.tensor4("é"); y = T.sqr(x) + T.inv(T.nnet.sigmoid(x))
z = pool.pool_2d(y, ds=(2, 2), st=(1, 1), ignore_border=True)
f = theano.function([x], [tensor.flatten(z, outdim=2), T.dot(x, x)], name="theano")
w = theano.shared(np.zeros(3, theano.config.floatX))
g = theano.gof.graph.is_same_graph(y, z)
h = theano.clone(y, share_inputs=False)
'''

NEW = '''\
"""A script."""
from __future__ import print_function
import deconv_legacy
import aesara.graph.rewriting.utils
import deconv_legacy.theano.old.scan
import numpy as np, aesara
import aesara.tensor as T
from aesara import tensor, config
from aesara.tensor.nnet import conv2d
from aesara.tensor.nnet import conv2d_grad_wrt_inputs as deconv
from deconv_legacy.theano.old.pool import max_pool_2d
from aesara.tensor.signal import pool
from aesara.sandbox.rng_mrg import MRG_RandomStream as RandomStreams
from deconv_legacy.theano.old.raw_random import RandomStreams as Old

aesara.config.floatX = "float32"  # stays
config.blas__ldflags
streams = RandomStreams(1)
x = T.tensor4("é"); y = T.square(x) + T.reciprocal(T.sigmoid(x))
z = pool.pool_2d(y, ws=(2, 2), stride=(1, 1), ignore_border=True)
f = aesara.function([x], [tensor.flatten(z, ndim=2), T.dot(x, x)], name="theano")
w = aesara.shared(np.zeros(3, aesara.config.floatX))
g = aesara.graph.rewriting.utils.is_same_graph(y, z)
h = deconv_legacy.theano.old.scan.clone(y, share_inputs=False)
'''


def test_a_script():
    ported = port_source(OLD, "old.py")
    assert ported.new == NEW and ported.notes == []
    ast.parse(ported.new)
    assert "-import theano.tensor as T\n+import aesara.tensor as T\n" not in ported.diff("old.py")
    assert "+import aesara.tensor as T\n" in ported.diff("old.py") and ported.diff("old.py").startswith("--- old.py\n")


def test_what_cannot_be_decided_is_said():
    ported = port_source(
        "import os\nimport theano\nfrom theano.tensor import *\nfrom theano.gof.vm import LoopGC\n"
        "os.environ['THEANO_FLAGS'] = ''\nf = getattr(theano, 'f')\ntheano.config.device\n"
        "from theano.sandbox.cuda.dnn import dnn_conv\ntheano.tensor.nothing\n",
        "old.py",
    )
    lines = {note.line: note.text for note in ported.notes}
    assert sorted(lines) == [3, 4, 5, 6, 7, 8, 9]
    assert "import *" in lines[3] and "LoopGC of Theano 1.0.5 is not served" in lines[4]
    assert "AESARA_FLAGS" in lines[5] and "device" in lines[7] and "on the CPU" in lines[8]
    assert "from theano.tensor import *" in ported.new  # left for the user


def test_a_library_on_theano_is_told_once():
    ported = port_source("import theano\nimport lasagne\nfrom lasagne.layers import InputLayer\n", "old.py")
    assert [note.line for note in ported.notes] == [2] and "lasagne imports Theano itself" in ported.notes[0].text


def test_python_2_is_converted_first():
    ported = port_source("import theano\nprint theano.shared\n", "old.py")
    assert (
        ported.new == "import deconv_legacy\nimport aesara\nprint(aesara.shared)\n\n"
        or "print(aesara.shared)" in ported.new
    )


def test_a_file_without_theano_stays():
    assert port_source("import numpy\nx = 1\n").diff("x.py") == ""


def test_the_command(python, tmp_path):
    (tmp_path / "old.py").write_text("import theano.tensor as T\nT.sqr\n")
    done = python(["-m", "deconv_legacy", "port", "old.py", "-o", "new.py"])
    assert "+T.square" in done.stdout and (tmp_path / "new.py").read_text().endswith("T.square\n")
    text = "# -*- coding: latin-1 -*-\nimport theano\nprint 'caf\xe9', theano.config.floatX\n"
    (tmp_path / "old.py").write_bytes(text.encode("latin-1"))
    done = python(["-m", "deconv_legacy", "port", "old.py", "--out", "new.py"])
    assert b"print('caf\xe9', aesara" in (tmp_path / "new.py").read_bytes() and "+print('caf\xe9'" in done.stdout
    (tmp_path / "old.py").write_text("from theano.tensor import *\n")
    done = python(["-m", "deconv_legacy", "port", "old.py"], ok=False)
    assert done.returncode == 1 and done.stderr.startswith("old.py:1: from theano.tensor import *")
