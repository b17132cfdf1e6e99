"""`python -m tools.train`."""

import sys

from tools import run

sys.exit(run("train"))
