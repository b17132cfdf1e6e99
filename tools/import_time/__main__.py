"""`python -m tools.import_time`."""

from tools import run

raise SystemExit(run("import_time"))
