"""The regression kit: pin the numbers of a net, compare anything with them, find the first layer that differs.

>>> import numpy as np
>>> from deconv_legacy.layers import ConvolutionLayer, InputLayer
>>> net = ConvolutionLayer(InputLayer((None, 3, None, None)), (2, 3, 3, 3), name="score", rng=0)
>>> golden = record(net, {"data": np.ones((1, 3, 5, 6), "float32")}, backend="numpy")
>>> compare(golden, net, backend="numpy").ok
True
>>> net.W.set_value(net.W.get_value()[:, :, ::-1])
>>> print(compare(golden, net, backend="numpy", parts=["params"]).summary())
1 of 1 parameters differ, first 'score.W'
"""

from deconv_legacy.testing.adapters import caffe_subject, subject_from_file, subject_of
from deconv_legacy.testing.assertions import assert_gradients, assert_matches_reference, assert_same
from deconv_legacy.testing.bisect import Bisection, bisect
from deconv_legacy.testing.causes import CAUSES
from deconv_legacy.testing.check import Check, Problem, check, check_files
from deconv_legacy.testing.compare import PARTS, Comparison, compare
from deconv_legacy.testing.record import FULL_BYTES, record, seeded_inputs
from deconv_legacy.testing.recording import Recording, read_recording
from deconv_legacy.testing.subject import Subject

__all__ = [
    "CAUSES",
    "FULL_BYTES",
    "PARTS",
    "Bisection",
    "Check",
    "Comparison",
    "Problem",
    "Recording",
    "Subject",
    "assert_gradients",
    "assert_matches_reference",
    "assert_same",
    "bisect",
    "caffe_subject",
    "check",
    "check_files",
    "compare",
    "read_recording",
    "record",
    "seeded_inputs",
    "subject_from_file",
    "subject_of",
]
