"""``theano.tensor.nnet.corr`` and ``corr3d``: code that looks for these Ops in a graph finds the engine's, too."""

from __future__ import annotations

from typing import Any

from deconv_legacy.engine import Conv, ConvInputGradient, ConvWeightGradient, aesara

__all__ = [
    "Corr3dMM",
    "Corr3dMM_gradInputs",
    "Corr3dMM_gradWeights",
    "CorrMM",
    "CorrMM_gradInputs",
    "CorrMM_gradWeights",
]

corr, corr3d = aesara.tensor.nnet.corr, aesara.tensor.nnet.corr3d

_CorrMM: Any = corr.CorrMM
_CorrMM_gradInputs: Any = corr.CorrMM_gradInputs
_CorrMM_gradWeights: Any = corr.CorrMM_gradWeights
_Corr3dMM: Any = corr3d.Corr3dMM
_Corr3dMMGradInputs: Any = corr3d.Corr3dMMGradInputs
_Corr3dMMGradWeights: Any = corr3d.Corr3dMMGradWeights


class _OrEngine(type(corr.CorrMM)):  # type: ignore[misc]
    """Aesara's Op and the engine's are instances; ``issubclass`` is left alone."""

    engine: Any
    ndim = 2

    def __instancecheck__(cls, instance: Any) -> bool:
        if type(instance) is cls.engine:
            return bool(instance.ndim == cls.ndim)
        return isinstance(instance, cls.__base__)


class CorrMM(_CorrMM, metaclass=_OrEngine):
    """The forward correlation."""

    engine = Conv


class CorrMM_gradInputs(_CorrMM_gradInputs, metaclass=_OrEngine):
    """The input gradient."""

    engine = ConvInputGradient


class CorrMM_gradWeights(_CorrMM_gradWeights, metaclass=_OrEngine):
    """The weight gradient."""

    engine = ConvWeightGradient


class Corr3dMM(_Corr3dMM, metaclass=_OrEngine):
    """The forward correlation of volumes."""

    engine, ndim = Conv, 3


class Corr3dMM_gradInputs(_Corr3dMMGradInputs, metaclass=_OrEngine):
    """The input gradient of volumes."""

    engine, ndim = ConvInputGradient, 3


class Corr3dMM_gradWeights(_Corr3dMMGradWeights, metaclass=_OrEngine):
    """The weight gradient of volumes."""

    engine, ndim = ConvWeightGradient, 3
