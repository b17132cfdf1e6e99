"""`python -m tools.benchmark`."""

from tools import run

raise SystemExit(run("benchmark"))
