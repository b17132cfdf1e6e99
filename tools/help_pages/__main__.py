"""`python -m tools.help_pages`."""

from tools import run

raise SystemExit(run("help_pages"))
