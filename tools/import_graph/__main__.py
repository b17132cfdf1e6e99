"""`python -m tools.import_graph`."""

from tools import run

raise SystemExit(run("import_graph"))
