"""What Theano had and Aesara has not, or has otherwise: one module for each of Theano's that needs one.

Nothing here installs anything; plain ``import deconv_legacy.theano.old.raw_random`` works without the facade.
"""

import warnings

from deconv_legacy.engine import aesara

with warnings.catch_warnings():
    # modules that announce their own end, or use names that are ending, while they are imported
    warnings.simplefilter("ignore")
    import aesara.sandbox.rng_mrg
    import aesara.tensor.inplace
    import aesara.tensor.nnet.conv
    import aesara.tensor.signal.pool  # noqa: F401
