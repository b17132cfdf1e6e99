"""Model files as safetensors: the same tensors, with what is known of them."""

import json
from pathlib import Path

import torch

from ..checkpoints.reading import read_checkpoint
from ..checkpoints.saving import save_tensors
from .inspection import Inspection

SUFFIX = ".safetensors"


def require_free(destination: Path, force: bool) -> None:
    """Refuses a destination that is no safetensors file, or one that is there, unless forced."""
    if destination.suffix != SUFFIX:
        raise ValueError(f"cannot write {destination}: expected a name that ends in {SUFFIX}")
    if destination.exists() and not force:
        raise FileExistsError(f"{destination} is there already: name another, or overwrite it")


def convert(report: Inspection, destination: Path, half: bool = False, force: bool = False) -> str:
    """Write an inspected file anew, whole or not at all; answers with a line that says so.

    Names stay as published. `half` packs floats in 16 bits, and `force` replaces what is there.
    The metadata says what the file was made from, its licence, family, kind and config; of a config
    that had to be assumed in part, only what was told.
    """
    require_free(destination, force)
    tensors = read_checkpoint(report.path).tensors
    header = {
        "source": f"{report.path.parent.name}/{report.path.name}",
        "sha256": report.sha256,
        "licence": report.licence,
        "family": report.family,
        "kind": report.kind,
        "config": json.dumps(report.told if report.warnings else report.config),
    }
    save_tensors(destination, tensors, header, torch.float16 if half else None)
    sizes = (f"{path.stat().st_size / 1e6:,.1f} MB" for path in (report.path, destination))
    return f"wrote {destination}: {report.family}, {report.kind}, {' -> '.join(sizes)}, read back"
