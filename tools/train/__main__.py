"""`python -m tools.train`."""

from tools import run

raise SystemExit(run("train"))
