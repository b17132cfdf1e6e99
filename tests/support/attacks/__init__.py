"""Files that no reader should obey, each with the error that it must raise."""

import itertools
from pathlib import Path

from .attack import Attack as Attack
from .damaged_files import damaged_files
from .damaged_graphs import damaged_graphs
from .damaged_pickles import damaged_pickles
from .damaged_tflite import damaged_tflite
from .programs import programs


def attacks(marker: Path) -> list[Attack]:
    """All of them; those that run something would make the marker."""
    damaged = (damaged_pickles(), damaged_files(), damaged_tflite(), damaged_graphs())
    return [*programs(marker), *itertools.chain(*damaged)]
