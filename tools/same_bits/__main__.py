"""`python -m tools.same_bits`."""

import sys

from tools import run

sys.exit(run("same_bits"))
