"""Files that no reader should obey, each with the error that it must raise."""

from pathlib import Path

from .attack import Attack as Attack
from .file_lies import file_lies
from .pickle_lies import pickle_lies
from .programs import programs


def attacks(marker: Path) -> list[Attack]:
    """All of them; those that run something would make the marker."""
    return [*programs(marker), *pickle_lies(), *file_lies()]
