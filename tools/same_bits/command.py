"""The same bits before and after: golden data, the demo's pairs and table, every workflow."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from .. import ROOT

GROUPS = ("golden", "commands", "workflows")
RECORD = Path(__file__).with_name("record.py")
SHOWN = 20  # differences that are listed

Recorded = Mapping[str, Mapping[str, str]]


def main(arguments: Sequence[str] | None = None) -> int:
    """Compares a revision with the working tree; 1 where a bit differs."""
    parser = argparse.ArgumentParser(prog="python -m tools.same_bits", description=__doc__)
    parser.add_argument("revision", help="of git, whose bits are those to keep")
    parser.add_argument("--only", nargs="+", choices=GROUPS, default=GROUPS, metavar="GROUP")
    parser.add_argument("--keep", type=Path, help="file of the revision's hashes, made if missing")
    given = parser.parse_args(arguments)
    with checkout(given.revision) as before:
        if given.keep and given.keep.exists():
            kept = json.loads(given.keep.read_text())
        else:
            kept = record(before, before, given.only)
        if given.keep:
            given.keep.write_text(json.dumps(kept, indent=1))
        found = record(ROOT, before, given.only)
    return sum(compare(group, kept[group], found[group]) for group in given.only) > 0


@contextmanager
def checkout(revision: str) -> Iterator[Path]:
    """The files of a revision, in a temporary folder."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder, "before")
        git = ["git", "-C", str(ROOT), "worktree"]
        subprocess.run([*git, "add", "--detach", str(root), revision], check=True)
        try:
            yield root
        finally:
            subprocess.run([*git, "remove", "--force", str(root)], check=True)


def record(root: Path, graphs: Path, groups: Sequence[str]) -> Recorded:
    """The hashes of a checkout, computed by a Python of its own."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "recorded.json")
        command = [sys.executable, str(RECORD), str(root), str(graphs), str(out), *groups]
        subprocess.run(command, cwd=folder, check=True, stdout=sys.stderr)
        return json.loads(out.read_text())


def compare(group: str, before: Mapping[str, str], after: Mapping[str, str]) -> int:
    """Print what differs; the number of differences."""
    differing = [key for key, value in before.items() if after.get(key) != value]
    print(f"{group}: {len(before) - len(differing)} of {len(before)} the same bits")
    for key in differing[:SHOWN]:
        print(f"  {'differs' if key in after else 'missing'}: {key}")
    return len(differing)
