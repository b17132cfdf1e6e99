"""`python -m tools.gaze_table`."""

from tools import run

raise SystemExit(run("gaze_table"))
