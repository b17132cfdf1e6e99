"""How long a fresh Python takes to import the editor."""

from __future__ import annotations

import subprocess
import sys
from functools import partial

from .memory import ROOT
from .steps import Run

IMPORTS = {
    "python alone": "pass",
    "import torch": "import torch",
    "import editor_core": "import editor_core",
    "import editor_core.editing": "import editor_core.editing",
}


def start(code: str) -> Run:
    """Runs it in a Python of its own."""
    command = [sys.executable, "-c", code]
    return partial(subprocess.run, command, cwd=ROOT, stdin=subprocess.DEVNULL, check=True)
