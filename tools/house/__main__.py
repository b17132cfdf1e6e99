"""`python -m tools.house`."""

from tools import run

raise SystemExit(run("house"))
