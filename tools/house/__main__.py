"""`python -m tools.house`."""

import sys

from tools import run

sys.exit(run("house"))
