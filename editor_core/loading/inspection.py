"""What a model file is: its family, sizes, precision, hash, licence and configuration."""

import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass, is_dataclass
from pathlib import Path
from typing import Any

from ..checkpoints.reading import Checkpoint, read_outline
from ..files import StrPath
from .diffusion import config_hints
from .families import family_of
from .folders import find_weights
from .known_files import cached_sha256, identify, known_file, mismatch_warning
from .models import LOADERS

PLAIN = int | float | str | bool | tuple | list | None  # what JSON can hold


@dataclass(frozen=True)
class Inspection:
    """What is known of a model file."""

    path: Path  # of the weights
    family: str
    kind: str
    parameters: int
    dtype: str  # of its floats, for instance "float16"
    sha256: str
    licence: str
    config: Mapping[str, Any]  # of the network, and of the model around it
    hints: Mapping[str, Any]  # of that, what is known besides the tensors
    warnings: tuple[str, ...]  # of what was assumed, and of a name that belongs to another file

    def as_json(self) -> dict[str, Any]:
        """All of it but `hints`, as JSON holds it."""
        fields = {**asdict(self), "path": str(self.path)}
        del fields["hints"]
        return fields

    def as_text(self) -> str:
        """A line for each fact, the values below each other."""
        facts = {**self.as_json(), "parameters": f"{self.parameters:,}"}
        path, messages = facts.pop("path"), facts.pop("warnings")
        facts["config"] = ", ".join(f"{name} {value}" for name, value in self.config.items())
        rows = [*facts.items(), *(("warning", text) for text in messages)]
        return "\n".join([path, *(f"  {name:<12}{value}" for name, value in rows)])


def inspect(path: StrPath) -> Inspection:
    """What a model file is, found by loading it; nothing in it is run.

    Args:
        path: a safetensors, torch or ONNX file of any kind, or a diffusers folder or pipeline.

    Returns:
        Its family, kind, size, precision, hash, licence and configuration, with the warnings that
        loading gave.

    Raises:
        MissingModel: there is no such file; the message says where a published one comes from.
        CheckpointError: the editor cannot load it.
    """
    weights = find_weights(path)
    outline = read_outline(weights)
    family, hints = family_of(outline), config_hints(outline)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model: Any = LOADERS[family.kind](weights)
    network = getattr(model, "network", model)
    floats = {tensor.dtype for tensor in outline.tensors.values() if tensor.is_floating_point()}
    return Inspection(
        path=weights,
        family=family.name,
        kind=family.kind,
        parameters=sum(parameter.numel() for parameter in network.parameters()),
        dtype=", ".join(sorted(str(dtype).removeprefix("torch.") for dtype in floats)),
        sha256=cached_sha256(weights),
        licence=_licence(outline),
        config={**hints, **_config(model, network)},
        hints=hints,
        warnings=tuple(str(each.message) for each in caught if each.category is UserWarning),
    )


def _licence(checkpoint: Checkpoint) -> str:
    """By the file's hash, else its metadata, else its name unless that is another file's."""
    path = checkpoint.path
    if known := identify(path):
        return known.licence
    named = None if mismatch_warning(path) else known_file(path)
    by_name = f"{named.licence} (by its name)" if named else "unknown"
    return str(checkpoint.metadata.get("licence", by_name))


def _config(model: Any, network: Any) -> dict[str, Any]:
    """The network's own configuration, and the plain fields of the model around it."""
    config = asdict(network.config) if hasattr(network, "config") else {}
    fields = vars(model) if is_dataclass(model) else {}
    steps = {"diffusion_steps": fields["diffusion"].original_steps} if "diffusion" in fields else {}
    return {**config, **{k: v for k, v in fields.items() if isinstance(v, PLAIN)}, **steps}
