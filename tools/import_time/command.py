"""What the pack adds to the start of ComfyUI: the time of its own imports, and of what they bring.

Starts that ComfyUI several times under `python -X importtime`, alone with this pack, and writes
`benchmarks/import_time.json`, one entry for each version of ComfyUI.
"""

import argparse
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from .. import ROOT

PACK = "guided-face-edit"
RESULTS = ROOT / "benchmarks" / "import_time.json"
IMPORT = re.compile(r"import time:\s+(\d+) \|\s+(\d+) \|( *)(\S.*)")
OPTIONS = (
    *("--quick-test-for-ci", "--cpu", "--database-url", "sqlite:///:memory:"),
    *("--disable-api-nodes", "--disable-all-custom-nodes", "--whitelist-custom-nodes", PACK),
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Start ComfyUI, print the imports of the last start, and write the seconds of all."""
    parser = argparse.ArgumentParser(prog="python -m tools.import_time", description=__doc__)
    parser.add_argument("comfyui", type=Path, help="a checkout of ComfyUI")
    parser.add_argument("--python", default=sys.executable, help="the Python that runs it")
    parser.add_argument("--runs", type=int, default=5)
    given = parser.parse_args(arguments)
    starts = [start_comfyui(given.comfyui, given.python) for _ in range(given.runs)]
    seconds = [sum(imports.values()) for imports in starts]
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    version = (given.comfyui / "comfyui_version.py").read_text().split('"')[1]
    results[version] = {
        "command": "python -m tools.import_time COMFYUI",
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "seconds": [round(each, 3) for each in seconds],
        "median": round(median(seconds), 3),
    }
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")
    print(f"{median(seconds):.3f} s (median of {given.runs}); in the last start:")
    for name, each in starts[-1].items():
        print(f"  {each:.3f} s  {name}")


def start_comfyui(comfyui: Path, python: str) -> dict[str, float]:
    """Seconds of each import that ComfyUI itself made of this pack, all that it brings included."""
    with tempfile.TemporaryDirectory() as base:
        (Path(base) / "custom_nodes").mkdir()
        (Path(base) / "custom_nodes" / PACK).symlink_to(ROOT)
        command = [python, "-X", "importtime", "main.py", *OPTIONS, "--base-directory", base]
        ended = subprocess.run(command, cwd=comfyui, input="", capture_output=True, text=True)
    found = {
        name.rpartition("/")[2]: int(cumulative) / 1e6
        for _, cumulative, indent, name in IMPORT.findall(ended.stderr)
        if PACK in name and len(indent) == 1
    }
    if ended.returncode or "IMPORT FAILED" in ended.stderr or not found:
        sys.exit(f"ComfyUI did not start with the pack in it:\n{ended.stderr[-3000:]}")
    return found
