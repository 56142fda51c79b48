"""``theano.compat.six.moves``."""

import builtins
import configparser
import functools
import io
import itertools
import pickle
import queue
import urllib

__all__ = [
    "StringIO",
    "builtins",
    "cPickle",
    "cStringIO",
    "configparser",
    "filter",
    "filterfalse",
    "input",
    "map",
    "queue",
    "range",
    "reduce",
    "reload_module",
    "urllib",
    "xrange",
    "zip",
    "zip_longest",
]

from importlib import reload as reload_module

filter, input, map, range, zip = filter, input, map, range, zip
xrange, reduce, cPickle = range, functools.reduce, pickle
filterfalse, zip_longest = itertools.filterfalse, itertools.zip_longest
StringIO = cStringIO = io.StringIO
