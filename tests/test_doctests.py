"""The examples in docstrings run."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

import deconv_legacy.caffe
import deconv_legacy.engine
import deconv_legacy.layers
import deconv_legacy.networks
import deconv_legacy.testing
import deconv_legacy.training

# geometry, reference and fillers have theirs run beside their tests, the readers of Caffe's files here
PACKAGES = (
    deconv_legacy.caffe,
    deconv_legacy.engine,
    deconv_legacy.layers,
    deconv_legacy.networks,
    deconv_legacy.testing,
    deconv_legacy.training,
)
MODULES = sorted(
    name
    for package in PACKAGES
    for name in [
        package.__name__,
        *(module.name for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}.")),
    ]
) + ["deconv_legacy.engine.jax.graph"]


@pytest.mark.parametrize("name", MODULES)
def test_examples(name):
    if ".jax" in name:
        pytest.importorskip("jax", reason="JAX is not installed")
    result = doctest.testmod(importlib.import_module(name))
    assert result.failed == 0
