"""install(): opt-in, refuses beside a real Theano, gives a module tree that behaves as Theano's did."""

import pytest


def test_importing_the_room_changes_nothing(python):
    python("""
        import collections, inspect, pickle, sys, time, types, numpy
        modules = collections, inspect, pickle, time, numpy

        def names():  # submodules come and go with what is imported
            return [{k: v for k, v in vars(m).items() if not isinstance(v, types.ModuleType)} for m in modules]

        before = names()
        import deconv_legacy
        from aesara.tensor.type import TensorType
        from aesara.tensor.nnet.corr import CorrMM
        methods = TensorType.filter_variable, CorrMM.make_node
        import deconv_legacy.theano, deconv_legacy.theano.run, deconv_legacy.theano.port
        assert not [name for name in sys.modules if name.partition(".")[0] == "theano"]
        from deconv_legacy.engine import _numpy2
        after = names()
        if _numpy2.found():
            for name in _numpy2.NAMES:  # the engine's, which Aesara cannot do without (docs/backends.md)
                del after[-1][name]
        assert after == before
        assert not [finder for finder in sys.meta_path if type(finder).__module__.startswith("deconv_legacy")]
        assert methods == (TensorType.filter_variable, CorrMM.make_node)
        assert not deconv_legacy.theano.installed()
    """)


def test_refuses_where_a_theano_is_importable(python, tmp_path):
    (tmp_path / "real" / "theano").mkdir(parents=True)
    (tmp_path / "real" / "theano" / "__init__.py").write_text("real = True")
    code = """
        import sys
        from deconv_legacy import theano
        try:
            theano.install()
        except theano.TheanoPresentError as error:
            assert "real" in str(error) and isinstance(error, ImportError)
        else:
            sys.exit("installed")
        import theano
        assert theano.real
    """
    python(code, path=[tmp_path / "real"])


def test_the_module_tree(python):
    python("""
        import importlib, types, warnings
        from deconv_legacy import theano as facade
        from deconv_legacy.theano import _lookup, _table

        facade.install()
        facade.install()  # harmless
        warnings.simplefilter("error")
        import theano
        import theano.tensor as T
        from theano.tensor.nnet.abstract_conv import AbstractConv2d_gradInputs

        # every served name loads, and is a module where it was one
        served = 0
        for module in _table.SOURCES:
            loaded = importlib.import_module(module)
            for name in _lookup.served_names(module):
                value = getattr(loaded, name)
                was_module = _lookup.known_names().get(module, {}).get(name)
                assert was_module in (None, isinstance(value, types.ModuleType)), (module, name)
                served += was_module is not None
        assert served > 4300, served

        # a function of the same name as its module stays a function, though the module is imported, too
        assert not isinstance(theano.compile.function, types.ModuleType)
        assert importlib.import_module("theano.compile.function").function is theano.function
        assert callable(T.sort) and callable(T.var) and callable(theano.scan)

        # dir() and import * have Theano's names, old ones too, and none that Aesara added and hides a builtin
        old = {"abs_", "inv", "sqr", "true_div", "int_div", "floor_div", "nnet", "signal", "addbroadcast"}
        assert old <= set(dir(T))
        namespace = {}
        exec("from theano.tensor import *", namespace)
        assert {"sqr", "inv", "nnet", "exp", "patternbroadcast"} <= set(namespace) and "abs" not in namespace
        assert theano.__version__ == "1.0.5" and theano.tensor.signal.pool.pool_2d

        # what is not served says so
        for module, name, text in (
            ("theano.gof.vm", "LoopGC", "theano.gof.vm.LoopGC of Theano 1.0.5 is not served"),
            ("theano.tensor", "nothing", "theano.tensor.nothing is no name of Theano"),
        ):
            try:
                getattr(importlib.import_module(module), name)
            except AttributeError as error:
                assert text in str(error)
            else:
                raise SystemExit(name)
        try:
            import theano.gpuarray.linalg
        except ModuleNotFoundError as error:
            assert "theano.gpuarray.linalg of Theano 1.0.5 is not served" in str(error)
        else:
            raise SystemExit("linalg")

        facade.uninstall()
        try:
            import theano.tensor
        except ModuleNotFoundError as error:
            assert error.name == "theano"
        else:
            raise SystemExit("still there")
    """)


def test_aesaras_faults_are_mended_where_a_probe_finds_them(python):
    python("""
        import deconv_legacy
        from deconv_legacy.theano import _faults, install
        # as in Aesara 2.9.4
        assert _faults.corr_fails() and _faults.default_update_fails() and _faults.pool_hessian_fails()
        install()
        assert _faults.mend() == []
        import numpy as np, theano, theano.tensor as T
        theano.config.mode = "FAST_COMPILE"
        average = theano.shared(np.zeros(3, "float32"))
        average.default_update = T.zeros((3,), dtype="float32") + 2
        theano.function([], average)()
        assert (average.get_value() == 2).all()
    """)


@pytest.mark.parametrize("mended", [True, False])
def test_second_derivatives_of_max_pools_whose_sizes_are_known(python, mended):
    start = """
    from deconv_legacy.theano import _faults, install
    """
    start += "install()" if mended else "_faults.mend = list; install()"
    use = """
    import theano, theano.tensor as T
    from theano.tensor.signal.pool import DownsampleFactorMaxGradGrad, Pool
    x = T.as_tensor_variable([[3.0, 1.0, 2.0, 5.0, 4.0]])
    z, weights = T.specify_shape(T.dmatrix(), (1, 5)), T.dmatrix()
    pooled = Pool(ignore_border=True, ndim=1)(x, (2,))
    at_maxima = DownsampleFactorMaxGradGrad(ignore_border=True, ndim=1)(x, pooled, z, (2,))
    product = at_maxima * weights
    gradient = T.grad(product.sum(), z)
    f = theano.function([z.owner.inputs[0], weights], [product, gradient], mode="FAST_COMPILE")
    product, gradient = f([[1.0, 2.0, 3.0, 4.0, 5.0]], [[7.0, 9.0]])
    assert product.tolist() == [[7.0, 36.0]] and gradient.tolist() == [[7.0, 0.0, 0.0, 9.0, 0.0]]
    """
    done = python(start + use, ok=mended)
    assert mended or "Got shape (1, 2)" in done.stderr, "Aesara has mended it: drop ours"


def test_flags_and_files_are_translated(python, tmp_path):
    (tmp_path / "theanorc").write_text(
        "[global]\nfloatX = float32\noptimizer = None\n[blas]\nldflags = -lnone\n[cuda]\nroot = /x\n"
    )
    flags = "floatX=float16,device=gpu0,lib.cnmem=0.5,optimizer_excluding=inplace,on_unused_input=ignore,no.such=1"
    code = """
        import warnings
        from deconv_legacy.theano import TheanoFlagsWarning, install
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            install()
        told = [str(w.message) for w in caught if w.category is TheanoFlagsWarning]
        assert len(told) == 3, told
        assert any("device=gpu0" in text and "CPU" in text for text in told)
        assert any("optimizer_excluding=inplace" in text and "AESARA_FLAGS" in text for text in told)
        assert any("no.such=1" in text for text in told)
        import aesara, theano
        assert theano.config.floatX == aesara.config.floatX == "float16"  # the environment counts more than the file
        assert theano.config.blas.ldflags == aesara.config.blas__ldflags == "-lnone"
        assert theano.config.optimizer == "None" and aesara.config.on_unused_input == "ignore"
        assert theano.config.device == "cpu" and theano.config.cuda.root == "/x" and theano.config.lib.cnmem == 0.5
        theano.config.floatX = "float64"
        assert aesara.config.floatX == "float64"
        with theano.change_flags(**{"warn.round": True, "floatX": "float32"}):
            assert aesara.config.floatX == "float32"
        assert aesara.config.floatX == "float64"
    """
    python(code, THEANO_FLAGS=flags, THEANORC=str(tmp_path / "theanorc"))


def test_pretending_a_gpu(python):
    python("""
        from deconv_legacy.theano import install
        install()
        import theano.sandbox.cuda, theano.gpuarray.dnn
        assert not theano.sandbox.cuda.cuda_available and not theano.gpuarray.dnn.dnn_present()
        assert theano.config.device == "cpu"
    """)
    python("""
        from deconv_legacy.theano import install
        install(gpu=True)
        import theano
        from theano.sandbox import cuda
        from theano.sandbox.cuda.dnn import dnn_available, version
        assert cuda.cuda_available and cuda.cuda_enabled and dnn_available() and version() >= 5000
        assert theano.gpuarray.pygpu_activated and theano.config.device.startswith("cuda")
        cuda.use("gpu0")
    """)


def test_ops_written_for_theano(python):
    """infer_shape without the FunctionGraph, optimizers of one argument, C code that is left aside."""
    python("""
        import warnings
        import numpy as np
        from deconv_legacy.theano import install
        install()
        import theano, theano.tensor as T
        from theano import gof

        class Double(theano.Op):
            __props__ = ()
            def make_node(self, x):
                x = T.as_tensor_variable(x)
                return gof.Apply(self, [x], [x.type()])
            def perform(self, node, inputs, output_storage):
                output_storage[0][0] = inputs[0] * 2
            def infer_shape(self, node, shapes):
                return [shapes[0]]
            def grad(self, inputs, gradients):
                return [2 * gradients[0]]

        seen = []
        @gof.local_optimizer([Double])
        def look(node):
            seen.append(node.op)

        x = T.vector()
        theano.config.mode = "FAST_COMPILE"
        y = Double()(x)
        assert list(theano.function([x], [y.shape[0], theano.grad(y.sum(), x)[0]])([1, 2, 3])) == [3, 2]
        theano.gof.opt.in2out(look, name="look").optimize(gof.FunctionGraph([x], [y], clone=True))
        assert seen == [Double()] and isinstance(T.exp, theano.Op)
        assert isinstance(gof.graph.inputs([y]), list) and gof.graph.inputs([y]) == [x]
        alone = theano.Variable("of any type")  # the owner may be left out
        assert alone.owner is None and isinstance(alone, gof.Variable) and isinstance(x, theano.Variable)
        assert not isinstance(5, theano.Variable)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            class WithCode(theano.Op):
                def c_code(self, *args):
                    return ""
        assert "C code" in str(caught[0].message)
    """)
