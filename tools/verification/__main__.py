"""`python -m tools.verification`."""

from tools import run

raise SystemExit(run("verification"))
