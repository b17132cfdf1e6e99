"""`python -m tools.evaluate`."""

from tools import run

raise SystemExit(run("evaluate"))
