"""`python -m tools.benchmark`."""

import sys

from tools import run

sys.exit(run("benchmark"))
