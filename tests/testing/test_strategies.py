"""The strategies: what is called legal is, with the shapes that are promised; what is called illegal is refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings

from deconv_legacy import reference
from deconv_legacy.errors import SizeError
from deconv_legacy.layers import DeconvolutionLayer, InputLayer
from deconv_legacy.testing.strategies import illegal_deconvolutions, legal_deconvolutions


@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_legal_ones_are_built_and_can_be_computed(ndim):
    @settings(max_examples=40, deadline=None)
    @given(legal_deconvolutions(ndim, max_size=4))
    def law(config):
        layer = DeconvolutionLayer(InputLayer(config.input_shape), **config.arguments())
        assert layer.output_shape == config.output_shape and not config.wrong
        made = reference.conv_input_grad(
            np.ones(config.filter_shape),
            np.ones(config.input_shape),
            config.output_size,
            config.stride,
            config.padding,
            config.dilation,
            config.groups,
            config.flip,
        )
        assert made.shape == config.output_shape

    law()


def test_symmetric_ones_have_one_pad_on_both_sides():
    @settings(max_examples=40, deadline=None)
    @given(legal_deconvolutions(2, symmetric=True))
    def law(config):
        assert all(before == after for before, after in config.padding)

    law()


def test_illegal_ones_are_refused():
    seen = set()

    @settings(max_examples=150, deadline=None)
    @given(illegal_deconvolutions(2))
    def law(config):
        seen.add(config.wrong)
        with pytest.raises(SizeError):
            DeconvolutionLayer(InputLayer(config.input_shape), **config.arguments())

    law()
    assert seen == {"output size", "stride", "dilation", "channels", "groups"}
