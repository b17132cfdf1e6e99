"""The same bits before and after: golden data, the demo's pairs and table, every workflow."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from .. import ROOT

GROUPS = ("golden", "commands", "workflows")
RECORD = Path(__file__).with_name("record.py")


def main(arguments: Sequence[str] | None = None) -> int:
    """Compares a revision with the working tree; 1 where a bit differs."""
    parser = argparse.ArgumentParser(prog="python -m tools.same_bits", description=__doc__)
    parser.add_argument("revision", help="of git, whose bits are those to keep")
    parser.add_argument("--only", nargs="+", choices=GROUPS, default=GROUPS, metavar="GROUP")
    parser.add_argument("--kept", type=Path, help="the revision's hashes, recorded if missing")
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        before = Path(folder, "before")
        worktree = ["git", "-C", str(ROOT), "worktree"]
        subprocess.run([*worktree, "add", "--detach", str(before), given.revision], check=True)
        try:
            kept = given.kept or Path(folder, "kept.json")
            if not kept.exists():
                kept.write_text(json.dumps(record(before, before, given.only)), encoding="utf-8")
            return compare(json.loads(kept.read_text("utf-8")), record(ROOT, before, given.only))
        finally:
            subprocess.run([*worktree, "remove", "--force", str(before)], check=True)


def record(root: Path, graphs: Path, groups: Sequence[str]) -> dict[str, dict[str, str]]:
    """The hashes of a checkout, computed by a Python of its own."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "recorded.json")
        command = [sys.executable, str(RECORD), str(root), str(graphs), str(out), *groups]
        subprocess.run(command, cwd=folder, check=True, stdout=sys.stderr)
        return json.loads(out.read_text(encoding="utf-8"))


def compare(before: dict[str, dict[str, str]], after: dict[str, dict[str, str]]) -> int:
    """Prints how many of each group are the same, and all that are not; 1 where some are not."""
    differing = {
        group: [key for key, value in before[group].items() if found.get(key) != value]
        for group, found in after.items()
    }
    for group, keys in differing.items():
        total = len(before[group])
        print(f"{group}: {total - len(keys)} of {total} the same bits")
        for key in keys:
            print(f"  {'differs' if key in after[group] else 'missing'}: {key}")
    return int(any(differing.values()))
