"""`python -m tools.text_attributes`."""

from tools import run

raise SystemExit(run("text_attributes"))
