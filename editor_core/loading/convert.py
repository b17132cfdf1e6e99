"""Model files rewritten as safetensors: the same tensors, with what is known of them."""

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
    """Write an inspected file as safetensors, whole or not at all.

    The tensors keep their published names. The metadata has the file's source, SHA-256, licence,
    family, kind and config; of a config that was assumed in part, only what was not.

    Args:
        report: of the file, from `inspect`.
        destination: a path that ends in .safetensors.
        half: whether floats are packed in 16 bits.
        force: whether a file that is there is replaced.

    Returns:
        A line that says what was written, with sizes in MB.

    Raises:
        FileExistsError: the destination is there, and `force` is off.
        ValueError: the destination has another ending, or a value does not fit into 16 bits.
        OSError: it cannot be written, or reads other than it was written.
    """
    require_free(destination, force)
    tensors = read_checkpoint(report.path).tensors
    header = {
        "source": f"{report.path.parent.name}/{report.path.name}",
        "sha256": report.sha256,
        "licence": report.licence,
        "family": report.family,
        "kind": report.kind,
        "config": json.dumps(report.hints if report.warnings else report.config),
    }
    save_tensors(destination, tensors, header, torch.float16 if half else None)
    sizes = (f"{path.stat().st_size / 1e6:,.1f} MB" for path in (report.path, destination))
    return f"wrote {destination}: {report.family}, {report.kind}, {' -> '.join(sizes)}, read back"
