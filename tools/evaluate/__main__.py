"""`python -m tools.evaluate`."""

import sys

from tools import run

sys.exit(run("evaluate"))
