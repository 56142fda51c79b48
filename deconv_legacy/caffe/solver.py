"""Training as Caffe does it: SGD, Nesterov, AdaGrad, RMSProp, AdaDelta and Adam with its exact update rules.

A step clears the gradients, adds up ``iter_size`` forward-backward passes, clips by the global norm, divides by
``iter_size``, adds the weight decay and subtracts what the rule makes of it. The learning rate is inside the history.

Source: ``src/caffe/solver.cpp`` and ``solvers/*.cpp`` of BVLC/caffe.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from deconv_legacy.caffe import _state, _streams
from deconv_legacy.caffe._update import Learned, Update
from deconv_legacy.caffe.blob import DATA, Blob
from deconv_legacy.caffe.caffemodel import SavedState, read_solverstate, write_solverstate
from deconv_legacy.caffe.net import Net
from deconv_legacy.caffe.prototxt import read_net, read_solver
from deconv_legacy.errors import MismatchError

__all__ = [
    "SOLVERS",
    "AdaDeltaSolver",
    "AdaGradSolver",
    "AdamSolver",
    "NesterovSolver",
    "RMSPropSolver",
    "SGDSolver",
    "get_solver",
    "learning_rate",
]

TRAIN, TEST = 0, 1


def learning_rate(param: Any, iteration: int, current_step: int = 0) -> tuple[float, int]:
    """The rate of a SolverParameter at an iteration, and the position in its steps (for multistep)."""
    policy, base, gamma = param.lr_policy, param.base_lr, param.gamma
    if policy == "fixed":
        rate = base
    elif policy == "step":
        current_step = iteration // param.stepsize
        rate = base * gamma**current_step
    elif policy == "exp":
        rate = base * gamma**iteration
    elif policy == "inv":
        rate = base * (1 + gamma * iteration) ** -param.power
    elif policy == "multistep":
        if current_step < len(param.stepvalue) and iteration >= param.stepvalue[current_step]:
            current_step += 1
        rate = base * gamma**current_step
    elif policy == "poly":
        rate = base * (1 - iteration / param.max_iter) ** param.power
    elif policy == "sigmoid":
        rate = base / (1 + math.exp(-gamma * (iteration - param.stepsize)))
    else:
        raise MismatchError(
            f"unknown learning rate policy {policy!r}; there are fixed, step, exp, inv, multistep, poly, sigmoid"
        )
    return rate, current_step


class SGDSolver:
    """Stochastic gradient descent with momentum, and the base of the other rules.

    Parameters
    ----------
    solver_file
        A solver prototxt, or a SolverParameter. Files that it names are looked up from the working directory.
    forks, caffe_cpu_sum
        As for `Net`.

    Attributes
    ----------
    net, test_nets : Net, list of Net
    iter : int
        Iterations done.
    lr : float
        The rate of the next step.
    param : SolverParameter
    log : callable
        Takes each line of the log; by default it goes to stderr.
    action : callable
        Asked after each iteration: "stop", "snapshot" or None.
    after_step : list of callable
        Called with the loss after each iteration.
    """

    type: ClassVar[str] = "SGD"
    histories: ClassVar[int] = 1
    """How many arrays the rule keeps for each parameter."""

    def __init__(self, solver_file: Any, *, forks: bool = False, caffe_cpu_sum: bool | None = None):
        self._forks, self._caffe_cpu_sum = forks, caffe_cpu_sum
        self.log: Callable[[str], Any] = _state.log_info
        self.action: Callable[[], str | None] = lambda: None
        self.after_step: list[Callable[[float], Any]] = []
        self.param = _param(solver_file, forks)
        if self.param.random_seed >= 0:
            _state.set_random_seed(self.param.random_seed)
        self._check()
        self._stopped = False
        self.iter = 0
        self._current_step = 0
        self._callbacks: list[tuple[Callable[[], Any], Callable[[], Any]]] = []
        self._losses: list[float] = []
        self.net = self._train_net()
        self.test_nets = self._make_test_nets()
        self._starts = [_streams.layer_values(net) for net in (self.net, *self.test_nets)]
        for weights in self.param.weights:
            for part in weights.split(","):
                self.net.copy_from(part.strip())
        self._params: list[tuple[Blob, float, float]] = []
        seen: set[int] = set()
        for node in self.net._nodes:
            for i, blob in enumerate(node.blobs):
                if id(blob) in seen:
                    continue
                seen.add(id(blob))
                given = node.spec.param[i] if i < len(node.spec.param) else None
                rate = given.lr_mult if given is not None else 1.0
                fixed = node.fixed and node.fixed[i]  # statistics, which nothing learns or decays
                self._params.append((blob, 0.0 if fixed else rate, given.decay_mult if given is not None else 1.0))
        self._history = [Blob(blob.dims) for _ in range(self.histories) for blob, _, _ in self._params]
        self._update = Update(self.param, self.compute_update)

    def _check(self) -> None:
        learning_rate(self.param, 0)
        if self.param.snapshot:
            # found out now, not after the first thousand iterations
            folder = Path(self.param.snapshot_prefix).absolute().parent
            there = next(place for place in (folder, *folder.parents) if place.exists())
            if not there.is_dir() or not os.access(there, os.W_OK):
                raise MismatchError(f"snapshot_prefix {self.param.snapshot_prefix!r}: {there} cannot be written to")

    # Nets

    def _train_net(self) -> Net:
        param = self.param
        given = [name for name in ("train_net_param", "train_net", "net_param", "net") if param.HasField(name)]
        if len(given) != 1:
            raise MismatchError(
                f"a solver must specify a train net by one of net_param, net, train_net_param, train_net; it has "
                f"{', '.join(given) or 'none'}"
            )
        return self._make_net(
            getattr(param, given[0]), TRAIN, param.train_state if param.HasField("train_state") else None
        )

    def _make_test_nets(self) -> list[Net]:
        param = self.param
        sources = [*param.test_net_param, *param.test_net]
        generic = [getattr(param, name) for name in ("net_param", "net") if param.HasField(name)]
        if generic:
            sources += generic * (len(param.test_iter) - len(sources))
        if len(sources) != len(param.test_iter):
            raise MismatchError(
                f"test_iter must be specified for each test network: {len(sources)} nets, "
                f"{len(param.test_iter)} numbers"
            )
        if sources and param.test_interval < 1:
            raise MismatchError("test_interval must be positive where there are test nets")
        states = list(param.test_state)
        if states and len(states) != len(sources):
            raise MismatchError(f"test_state must be unspecified or specified once per test net ({len(sources)})")
        return [self._make_net(source, TEST, states[i] if states else None) for i, source in enumerate(sources)]

    def _make_net(self, source: Any, phase: int, state: Any) -> Net:
        net = read_net(source, allow_unknown=self._forks) if isinstance(source, str) else source
        level = state.level if state is not None and state.HasField("level") else net.state.level
        stages = list(state.stage) if state is not None else []
        return Net(net, phase, level, stages, caffe_cpu_sum=self._caffe_cpu_sum)

    # Steps

    @property
    def lr(self) -> float:
        return learning_rate(self.param, self.iter, self._current_step)[0]

    def step(self, iters: int) -> None:
        """Train for `iters` iterations, fewer where `action` asks to stop."""
        param, net = self.param, self.net
        stop, self._losses, since, done = self.iter + iters, [], time.monotonic(), self.iter
        while self.iter < stop:
            net.clear_param_diffs()
            if param.random_seed >= 0:
                # a restored run draws what the first would have drawn
                net._random = np.random.default_rng([param.random_seed, self.iter])
            due = param.test_interval and self.iter % param.test_interval == 0
            if due and (self.iter > 0 or param.test_initialization):
                self._test_all()
                if self._stopped:
                    break
            for on_start, _ in self._callbacks:
                on_start()
            loss = 0.0
            for _ in range(param.iter_size):
                net._forward_backward()
                loss += net._loss()
            loss /= param.iter_size
            smoothed = self._smoothed(loss)
            if param.display and self.iter % param.display == 0:
                seconds = time.monotonic() - since
                rate = (self.iter - done) / seconds if seconds else 0.0
                self.log(
                    f"Iteration {self.iter} ({rate:.6g} iter/s, {seconds:.6g}s/{param.display} iters), "
                    f"loss = {smoothed:.6g}"
                )
                self._log_outputs("Train", {name: net.blobs[name].data for name in net.outputs}, net)
                since, done = time.monotonic(), self.iter
            for _, on_gradients_ready in self._callbacks:
                on_gradients_ready()
            self.apply_update()
            self.iter += 1
            asked = self.action()
            if (param.snapshot and self.iter % param.snapshot == 0) or asked == "snapshot":
                self.snapshot()
            for call in self.after_step:
                call(loss)
            if asked == "stop":
                self._stopped = True
                break

    def _smoothed(self, loss: float) -> float:
        """The mean of the last `average_loss` losses."""
        self._losses = [*self._losses, loss][-max(self.param.average_loss, 1) :]
        return float(np.mean(self._losses))

    def solve(self, resume_file: str | None = None) -> None:
        """Train up to ``max_iter``, from a solverstate if given."""
        param = self.param
        self.log(f"Solving {self.net.name}")
        self.log(f"Learning Rate Policy: {param.lr_policy}")
        self._stopped = False
        if resume_file:
            self.log(f"Restoring previous solver status from {resume_file}")
            self.restore(resume_file)
        self.step(max(param.max_iter - self.iter, 0))
        if param.snapshot_after_train and not (param.snapshot and self.iter % param.snapshot == 0):
            self.snapshot()
        if self._stopped:
            self.log("Optimization stopped early.")
            return
        if param.display and self.iter % param.display == 0:
            loss = self.net._forward(0, len(self.net.layers) - 1)
            self.log(f"Iteration {self.iter}, loss = {self._smoothed(loss):.6g}")
        if param.test_interval and self.iter % param.test_interval == 0:
            self._test_all()
        self.log("Optimization Done.")

    def add_callback(self, on_start: Callable[[], Any], on_gradients_ready: Callable[[], Any]) -> None:
        """Functions to call before each step's forward, and when its gradients are there."""
        self._callbacks.append((on_start, on_gradients_ready))

    def share_weights(self, net: Net) -> None:
        """Let another net use this solver's parameters: one memory for both."""
        net.share_with(self.net)

    def _test_all(self) -> None:
        for number, (net, count) in enumerate(zip(self.test_nets, self.param.test_iter, strict=True)):
            self.log(f"Iteration {self.iter}, Testing net (#{number})")
            net.share_with(self.net)
            sums: dict[str, Any] = {}
            loss = 0.0
            for _ in range(count):
                asked = self.action()
                if asked == "snapshot":
                    self.snapshot()
                if asked == "stop":
                    self._stopped = True
                    self.log("Test interrupted.")
                    return
                for name, values in net.forward().items():
                    sums[name] = sums.get(name, 0) + values.astype(np.float64)
                if self.param.test_compute_loss:
                    loss += net._loss()
            if self.param.test_compute_loss:
                self.log(f"Test loss: {loss / count:.6g}")
            self._log_outputs("Test", {name: total / count for name, total in sums.items()}, net)

    def _log_outputs(self, kind: str, outputs: dict[str, Any], net: Net) -> None:
        number = 0
        for name, values in outputs.items():
            weight = net._loss_weights().get(name, 0)
            for value in np.ravel(values):
                extra = f" (* {weight:g} = {weight * value:.6g} loss)" if weight else ""
                self.log(f"    {kind} net output #{number}: {name} = {value:.6g}{extra}")
                number += 1

    # The update

    def apply_update(self) -> None:
        """Turn the gradients of the net's parameters into their updates, and subtract these."""
        param = self.param
        rate, self._current_step = learning_rate(param, self.iter, self._current_step)
        if param.display and self.iter % param.display == 0:
            self.log(f"Iteration {self.iter}, lr = {rate:g}")
        if param.weight_decay and param.regularization_type not in ("L1", "L2"):
            raise MismatchError(f"unknown regularization type {param.regularization_type!r}; L1 and L2 are legal")
        count = len(self._params)
        learned = [
            Learned(
                blob,
                self._history[index::count],
                self._step_rate(np.float32(rate * lr_mult)),
                np.float32(param.weight_decay * decay_mult),
            )
            for index, (blob, lr_mult, decay_mult) in enumerate(self._params)
            if lr_mult
        ]
        self._update(learned)
        self.net._updated = [parameter.blob for parameter in learned]

    def _step_rate(self, rate: np.float32) -> np.float32:
        """The rate that the rule is given."""
        return rate

    def compute_update(self, diff: Any, history: Sequence[Any], rate: Any, xp: Any = np) -> tuple[Any, Sequence[Any]]:
        """The rule: what is subtracted for a gradient `diff`, and the new history; see ``_update.py``."""
        (h,) = history
        h *= np.float32(self.param.momentum)
        h += rate * diff
        return h, [h]

    @property
    def history(self) -> list[np.ndarray]:
        """What the rule keeps: one array for each parameter, then the second for each."""
        return [blob.data for blob in self._history]

    # Files

    def snapshot(self) -> str:
        """Write weights and state; the path of the state.

        The state also says what random numbers and which data come next (see ``_streams.py``): a run that is restored
        from it ends with the same weights, bit for bit, as one that was never stopped.
        """
        hdf5 = self.param.snapshot_format == 0
        suffix, kind = (".h5", "HDF5") if hdf5 else ("", "binary proto")
        stem = f"{self.param.snapshot_prefix}_iter_{self.iter}"
        model, state = f"{stem}.caffemodel{suffix}", f"{stem}.solverstate{suffix}"
        Path(stem).parent.mkdir(parents=True, exist_ok=True)
        self.log(f"Snapshotting to {kind} file {model}")
        self.net.save_hdf5(model) if hdf5 else self.net.save(model)
        streams = json.dumps(_streams.collect((self.net, *self.test_nets), self._starts))
        # last, and whole at once: a state that is there has its weights
        self.log(f"Snapshotting solver state to {kind} file {state}")
        history = [blob.peek(DATA) for blob in self._history]
        write_solverstate(state, SavedState(self.iter, model, self._current_step, history, streams))
        return state

    def restore(self, state_file: str | os.PathLike[str]) -> None:
        """Go on where a snapshot was taken. Its weights are looked for where it says, else beside it."""
        state = read_solverstate(state_file)
        shapes, ours = [array.shape for array in state.history], [blob.dims for blob in self._history]
        if [math.prod(s) for s in shapes] != [math.prod(s) for s in ours]:
            raise MismatchError(
                f"{os.fspath(state_file)}: its history has {len(shapes)} arrays, this solver's {len(ours)}, or their "
                "shapes differ: it belongs to another net or rule"
            )
        if state.learned_net:
            beside = Path(state_file).parent / Path(state.learned_net).name
            moved = not Path(state.learned_net).exists() and beside.exists()
            self.net.copy_from(beside if moved else state.learned_net)
        for array, stored in zip(self.history, state.history, strict=True):
            array[...] = stored.reshape(array.shape)
        self.iter, self._current_step = state.iter, state.current_step
        if state.streams:
            _streams.restore(json.loads(state.streams), (self.net, *self.test_nets))


class NesterovSolver(SGDSolver):
    """Nesterov's accelerated gradient."""

    type = "Nesterov"

    def compute_update(self, diff, history, rate, xp=np):
        (h,) = history
        momentum = np.float32(self.param.momentum)
        old = h.copy()
        h *= momentum
        h += rate * diff
        return np.float32(1 + momentum) * h - momentum * old, [h]


class _WithoutMomentum(SGDSolver):
    def _check(self) -> None:
        super()._check()
        if self.param.momentum:
            raise MismatchError(f"Momentum cannot be used with {self.type}.")


class AdaGradSolver(_WithoutMomentum):
    """AdaGrad: divides by the root of the sum of all squares."""

    type = "AdaGrad"

    def compute_update(self, diff, history, rate, xp=np):
        (h,) = history
        h += diff * diff
        diff *= rate / (xp.sqrt(h) + np.float32(self.param.delta))
        return diff, [h]


class RMSPropSolver(_WithoutMomentum):
    """RMSProp: divides by the root of a moving average of squares."""

    type = "RMSProp"

    def compute_update(self, diff, history, rate, xp=np):
        (h,) = history
        decay = np.float32(self.param.rms_decay)
        h *= decay
        h += np.float32(1 - decay) * diff * diff
        diff *= rate / (xp.sqrt(h) + np.float32(self.param.delta))
        return diff, [h]


class AdaDeltaSolver(SGDSolver):
    """AdaDelta, with the momentum as its decay."""

    type = "AdaDelta"
    histories = 2

    def compute_update(self, diff, history, rate, xp=np):
        squares, steps = history
        momentum, delta = np.float32(self.param.momentum), np.float32(self.param.delta)
        squares *= momentum
        squares += np.float32(1 - momentum) * diff * diff
        diff *= xp.sqrt((steps + delta) / (squares + delta))
        steps *= momentum
        steps += np.float32(1 - momentum) * diff * diff
        diff *= rate
        return diff, [squares, steps]


class AdamSolver(SGDSolver):
    """Adam, with momentum and momentum2 as its decays and delta as its epsilon."""

    type = "Adam"
    histories = 2

    def _step_rate(self, rate):
        t = self.iter + 1
        return rate * np.float32(math.sqrt(1 - self.param.momentum2**t) / (1 - self.param.momentum**t))

    def compute_update(self, diff, history, rate, xp=np):
        m, v = history
        beta1, beta2 = self.param.momentum, self.param.momentum2
        m *= np.float32(beta1)
        m += np.float32(1 - beta1) * diff
        v *= np.float32(beta2)
        v += np.float32(1 - beta2) * diff * diff
        return rate * m / (xp.sqrt(v) + np.float32(self.param.delta)), [m, v]


SOLVERS = {
    cls.type: cls for cls in (SGDSolver, NesterovSolver, AdaGradSolver, RMSPropSolver, AdaDeltaSolver, AdamSolver)
}


def get_solver(solver_file: Any, *, forks: bool = False, caffe_cpu_sum: bool | None = None) -> SGDSolver:
    """The solver that a file's ``type`` asks for; the others as for `SGDSolver`."""
    param = _param(solver_file, forks)
    if param.type not in SOLVERS:
        raise MismatchError(f"unknown solver type {param.type!r}; there are {', '.join(SOLVERS)}")
    return SOLVERS[param.type](param, forks=forks, caffe_cpu_sum=caffe_cpu_sum)


def _param(solver_file: Any, forks: bool) -> Any:
    """A SolverParameter, which may be one already."""
    is_file = isinstance(solver_file, (str, os.PathLike))
    return read_solver(solver_file, allow_unknown=forks) if is_file else solver_file
