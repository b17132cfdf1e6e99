"""What a model file is: read, recognised and loaded, and nothing in it run."""

import warnings
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, is_dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from ..checkpoints.reading import Checkpoint, UnsupportedCheckpoint, read_outline
from .diffusion import told_of
from .families import Family, detect
from .folders import weights_in
from .known_files import StrPath, doubt, hashed, identify, known_file
from .models import load_diffusion, load_gaze, load_identity, load_lpips, load_parser

LOADERS = {
    "diffusion": load_diffusion,
    "identity": load_identity,
    "parser": load_parser,
    "gaze": load_gaze,
    "lpips": load_lpips,
}
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
    config: Mapping[str, Any]  # of the network, and of what reads its answers
    told: Mapping[str, Any]  # of that, what was said beside the tensors
    warnings: tuple[str, ...]  # assumptions, and doubts about where the file is from

    def as_json(self) -> dict[str, Any]:
        """All of it but `told`, as JSON holds it."""
        fields = {**asdict(self), "path": str(self.path)}
        del fields["told"]
        return fields

    def as_text(self) -> str:
        """A line a fact, the values below each other."""
        facts = {**self.as_json(), "parameters": f"{self.parameters:,}"}
        path, said = facts.pop("path"), facts.pop("warnings")
        facts["config"] = ", ".join(f"{name} {value}" for name, value in self.config.items())
        rows = [*facts.items(), *(("warning", text) for text in said)]
        return "\n".join([path, *(f"  {name:<12}{value}" for name, value in rows)])


def inspect(path: StrPath) -> Inspection:
    """What a file or a diffusers folder is, once it has been loaded for a trial."""
    weights = weights_in(path)
    if weights.suffix == ".onnx":
        raise UnsupportedCheckpoint(
            f"{weights}: expected tensors, got an ONNX graph, which has no gradients: choose the "
            "file that the network was exported from"
        )
    read = _read(weights)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = LOADERS[read["kind"]](weights)
    return Inspection(
        path=weights,
        parameters=sum(parameter.numel() for parameter in _network(model).parameters()),
        config={**read["told"], **_config(model)},
        warnings=tuple(str(each.message) for each in caught if each.category is UserWarning),
        **read,
    )


def _read(weights: Path) -> dict[str, Any]:
    """What the tensors' names and shapes, and all that is said of them, tell."""
    checkpoint = read_outline(weights)
    family = _family(checkpoint)
    return {
        "family": family.name,
        "kind": family.kind,
        "dtype": _dtype(checkpoint.tensors.values()),
        "sha256": hashed(weights),
        "licence": _licence(checkpoint),
        "told": told_of(checkpoint),
    }


def _family(checkpoint: Checkpoint) -> Family:
    try:
        return detect(checkpoint.tensors)
    except UnsupportedCheckpoint as error:
        raise UnsupportedCheckpoint(f"{checkpoint.path}: {error}") from error


def _network(model: Any) -> Any:
    return getattr(model, "network", model)


def _dtype(tensors: Iterable[Tensor]) -> str:
    floats = {str(t.dtype).removeprefix("torch.") for t in tensors if t.is_floating_point()}
    return ", ".join(sorted(floats))


def _licence(checkpoint: Checkpoint) -> str:
    """As the file's hash tells, else its metadata, else its name if nothing speaks against it."""
    path = checkpoint.path
    known, named = identify(path), known_file(path)
    if known:
        return known.licence
    by_name = f"{named.licence} (by its name)" if named and not doubt(path) else "unknown"
    return str(checkpoint.metadata.get("licence", by_name))


def _config(model: Any) -> dict[str, Any]:
    """The network's own configuration, and the plain facts of the model around it."""
    network = _network(model)
    shape = asdict(network.config) if hasattr(network, "config") else {}
    facts = vars(model) if is_dataclass(model) else {}
    schedule = (
        {"diffusion_steps": facts["diffusion"].original_steps} if "diffusion" in facts else {}
    )
    return {**shape, **{k: v for k, v in facts.items() if isinstance(v, PLAIN)}, **schedule}
