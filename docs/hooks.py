"""What the documentation takes from the code when it is built, so that nothing is typed twice.

A line `<!-- from the code: NAME -->` in a page becomes what the function of that name in `PARTS`
returns. The help pages of the nodes, CONTRIBUTING and CHANGELOG become pages of their own.
"""

from __future__ import annotations

import ast
import json
import os
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[1]
sys.path.append(str(ROOT))

import tools  # noqa: E402  it is there only now

tools.load_checkout()  # mkdocstrings finds the package there, under whatever name the folder has

from guided_face_edit.editor_core.cli import build_parser  # noqa: E402
from guided_face_edit.editor_core.declare import Declaration, declared  # noqa: E402
from guided_face_edit.editor_core.guidance.terms import TERMS, TermSettings  # noqa: E402
from guided_face_edit.editor_core.loading.published_files import PUBLISHED_FILES  # noqa: E402
from guided_face_edit.editor_core.presets import PRESETS  # noqa: E402
from guided_face_edit.editor_core.settings import EditSettings  # noqa: E402
from guided_face_edit.tools.import_graph.command import draw_rooms  # noqa: E402

HELP = ROOT / "web" / "docs"
BENCHMARKS = ROOT / "benchmarks"
PART = re.compile(r"^<!-- from the code: (.+?) -->$", re.MULTILINE)
