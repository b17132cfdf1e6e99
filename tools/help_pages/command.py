"""The help pages of the nodes: from their schemas and the presets, above notes by hand.

What stands from `## Notes` on is kept as it is.
"""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from ...editor_core.files import write_text
from .. import ROOT


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m tools.help_pages", description=__doc__)
    parser.add_argument("--folder", type=Path, default=ROOT / "web" / "docs", help="of the pages")
    folder = parser.parse_args(arguments).folder
    with tempfile.TemporaryDirectory() as host:
        if "comfy_api" not in sys.modules:
            from ...tests.support.standin.modules import install

            install(Path(host))
        from ...nodes import NODES
        from .pages import help_page, notes_in

        for node in NODES:
            path = folder / f"{node.GET_SCHEMA().node_id}.md"
            write_text(path, help_page(node, notes_in(path)))
