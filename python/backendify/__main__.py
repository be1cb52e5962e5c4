"""`python -m backendify`: the same as the command `backendify`."""

import sys

from backendify.cli import main

if __name__ == "__main__":
    sys.exit(main())
