"""The published files that people have, as data: one entry each in `published_files.json`.

What is left out there is unknown, never a guess.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class KnownFile:
    name: str  # begins with its folder where others have the same name
    kind: str  # what it does: one of the loaders' kinds, or another word
    licence: str
    origin: str
    size: int | None = None  # bytes
    sha256: str | None = None
    aliases: tuple[str, ...] = ()  # other names of the very same file
    url: str | None = None  # of the file itself
    config: Mapping[str, Any] = field(default_factory=dict)  # what its tensors leave open
    loads: bool = True  # whether the editor has a network for it


KNOWN_FILES = tuple(
    KnownFile(**{**entry, "aliases": tuple(entry.get("aliases", ()))})
    for entry in json.loads(Path(__file__).with_suffix(".json").read_text(encoding="utf-8"))
)
