"""`python -m tools.import_graph`."""

import sys

from tools import run

sys.exit(run("import_graph"))
