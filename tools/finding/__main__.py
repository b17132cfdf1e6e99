"""`python -m tools.finding`."""

from tools import run

raise SystemExit(run("finding"))
