"""The version that old code is told: the last of Theano, whose names all of these are."""

__all__ = ["__version__", "full_version", "git_revision", "release", "short_version", "version"]

__version__ = version = full_version = short_version = "1.0.5"
release = True
git_revision = ""
