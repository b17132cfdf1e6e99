"""What the pack adds to the start of ComfyUI: the time of its own imports, and of what they bring.

python benchmarks/import_time.py ~/ComfyUI [--python ~/ComfyUI/venv/bin/python] [--runs 5]

Starts that ComfyUI several times under `python -X importtime`, alone with this pack, and writes
`benchmarks/import_time.json`, one entry for each version of ComfyUI.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACK = "guided-face-edit"
IMPORT = re.compile(r"import time:\s+(\d+) \|\s+(\d+) \|( *)(\S.*)")
RESULTS = Path(__file__).with_suffix(".json")
OPTIONS = (
    *("--quick-test-for-ci", "--cpu", "--database-url", "sqlite:///:memory:"),
    *("--disable-api-nodes", "--disable-all-custom-nodes", "--whitelist-custom-nodes", PACK),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("comfyui", type=Path, help="a checkout of ComfyUI")
    parser.add_argument("--python", default=sys.executable, help="the Python that runs it")
    parser.add_argument("--runs", type=int, default=5)
    asked = parser.parse_args()
    starts = [start(asked.comfyui, asked.python) for _ in range(asked.runs)]
    seconds = [sum(each.values()) for each in starts]
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    results[version(asked.comfyui)] = {
        "command": "python benchmarks/import_time.py COMFYUI",
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "seconds": [round(each, 3) for each in seconds],
        "median": round(statistics.median(seconds), 3),
    }
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")
    print(f"{statistics.median(seconds):.3f} s (median of {asked.runs}); in the last start:")
    for name, each in starts[-1].items():
        print(f"  {each:.3f} s  {name}")


def start(comfyui: Path, python: str) -> dict[str, float]:
    """Seconds of each import that ComfyUI itself made of this pack, all that it brings included."""
    with tempfile.TemporaryDirectory() as base:
        (Path(base) / "custom_nodes").mkdir()
        (Path(base) / "custom_nodes" / PACK).symlink_to(ROOT)
        command = [python, "-X", "importtime", "main.py", *OPTIONS, "--base-directory", base]
        ended = subprocess.run(
            command, cwd=comfyui, stdin=subprocess.DEVNULL, capture_output=True, text=True
        )
    found = {
        name.rpartition("/")[2]: int(cumulative) / 1e6
        for _, cumulative, indent, name in IMPORT.findall(ended.stderr)
        if PACK in name and len(indent) == 1
    }
    if ended.returncode or "IMPORT FAILED" in ended.stderr or not found:
        sys.exit(f"ComfyUI did not start with the pack in it:\n{ended.stderr[-3000:]}")
    return found


def version(comfyui: Path) -> str:
    """What this ComfyUI calls itself."""
    text = (comfyui / "comfyui_version.py").read_text()
    return text.partition('"')[2].partition('"')[0]


if __name__ == "__main__":
    main()
