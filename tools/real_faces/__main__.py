"""`python -m tools.real_faces`."""

from tools import run

raise SystemExit(run("real_faces"))
