"""``python -m deconv_legacy``: the same as the command ``deconv-legacy``."""

import sys

from deconv_legacy.cli import main

if __name__ == "__main__":
    sys.exit(main())
