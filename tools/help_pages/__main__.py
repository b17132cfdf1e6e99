"""`python -m tools.help_pages`."""

import sys

from tools import run

sys.exit(run("help_pages"))
