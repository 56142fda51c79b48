"""What Theano had and Aesara has not, or has otherwise: one module for each of Theano's that needs one.

Nothing here installs anything; plain ``import deconv_legacy.theano.old.raw_random`` works without the facade.
"""
