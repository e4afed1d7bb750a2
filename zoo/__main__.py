"""``python -m zoo``: the same as the console script ``zoo``."""

import sys

from zoo.cli import main

if __name__ == "__main__":
    sys.exit(main())
