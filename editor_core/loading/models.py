"""Model files as the editor's models: on the CPU, in evaluation mode, in full precision.

All of it works inside a caller's `torch.inference_mode()` too, and draws no random numbers.
"""

import os
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from ..autograd import gradients
from ..checkpoints.reading import Checkpoint, UnsupportedCheckpoint, read_checkpoint, read_outline
from ..diffusion.process import DiffusionModel
from ..face.gaze import GazeEstimator
from ..face.identity import IdentityEncoder
from ..face.parsing import FaceParser
from ..guidance.terms import Perceptual
from ..models.lpips import Lpips, backbone_of
from ..models.unet import UNet
from ..models.unet2d import UNet2D
from .diffusion import plan
from .families import detect
from .folders import EXTENSIONS, weights_in
from .known_files import FOLDERS, MissingModel, doubt, known_file, missing
from .recipes import GAZE, IDENTITY, PARSER, Recipe

StrPath = str | os.PathLike[str]
Network = TypeVar("Network", bound=nn.Module)

REQUIRED = ("diffusion", "identity", "parser")
PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
WIDE = 128  # channels
MISFITS = (LookupError, ValueError, TypeError, RuntimeError, ArithmeticError)  # of tensors


@dataclass(frozen=True)
class FaceModels:
    """The trained models of an edit; gaze and LPIPS only where their terms are wanted."""

    diffusion: DiffusionModel
    identity: IdentityEncoder
    parser: FaceParser
    gaze: GazeEstimator | None = None
    lpips: Perceptual | None = None


@gradients()
def load_diffusion(path: StrPath, hints: Mapping[str, Any] | None = None) -> DiffusionModel:
    """A diffusion model, of a file or a diffusers folder.

    What tensors do not tell comes from `hints`, else from what is known of a published file, else
    from the file's config. Of an ADM U-Net these are `num_heads` or `head_channels`,
    `attention_order`, `image_size` (pixels), `schedule` ("linear" or "cosine"), `diffusion_steps`
    and `predicts` ("epsilon" or "v"); of one of diffusers, what its `config.json` and
    `scheduler_config.json` say. What is assumed for want of both is said in a warning.
    """
    checkpoint = _read(weights_in(path), "diffusion")
    with _blaming(path):
        built = plan(checkpoint, hints)
        network = laid_out(_filled(built.make, built.config, built.tensors))
    return DiffusionModel(
        network, built.schedule, built.image_size, built.predicts, fixed=built.fixed
    )


@gradients()
def load_parser(path: StrPath) -> FaceParser:
    """A face parser; its input's `size` (pixels) comes from the file's config, else is 512."""
    return _prepared(path, "parser", PARSER)


@gradients()
def load_identity(path: StrPath) -> IdentityEncoder:
    """An identity encoder, all of whose sizes are in its tensors; FaceNet's `size` may be told."""
    return _prepared(path, "identity", IDENTITY)


@gradients()
def load_gaze(path: StrPath) -> GazeEstimator:
    """A gaze estimator, all of whose sizes are in its tensors."""
    return _prepared(path, "gaze", GAZE)


@gradients()
def load_lpips(path: StrPath) -> Lpips:
    """LPIPS on a backbone, with the published heads unless the file's config says `heads` false."""
    checkpoint = _read(path, "lpips")
    with _blaming(path):
        net = backbone_of(checkpoint.tensors)
        network = Lpips(net, checkpoint.tensors, checkpoint.config.get("heads", True))
    return network.requires_grad_(False)


def load_models(folder: StrPath) -> FaceModels:
    """All the models in a folder; those of gaze and LPIPS may be missing."""
    files = find_models(folder)
    for kind in REQUIRED:
        if kind not in files:
            raise missing(kind, folder)
    return FaceModels(
        diffusion=load_diffusion(files["diffusion"]),
        identity=load_identity(files["identity"]),
        parser=load_parser(files["parser"]),
        gaze=load_gaze(files["gaze"]) if "gaze" in files else None,
        lpips=load_lpips(files["lpips"]) if "lpips" in files else None,
    )


def find_models(folder: StrPath) -> dict[str, Path]:
    """The model file of each kind in a folder and the folders in it.

    A kind is told by the file's name, its metadata, or its tensors.
    """
    if not Path(folder).is_dir():
        raise MissingModel(f"no folder {folder}: name the one that has the models")
    found: dict[str, Path] = {}
    files = [*Path(folder).glob("*"), *Path(folder).glob("*/*")]
    for path in sorted(path for path in files if path.is_file()):
        kind = _kind(path)
        if kind in found:
            raise UnsupportedCheckpoint(
                f"{folder}: expected one {kind} model, got {found[kind].relative_to(folder)} "
                f"and {path.relative_to(folder)}: "
                "take one of them away"
            )
        if kind:
            found[kind] = path
    return found


def _kind(path: Path) -> str | None:
    """What a file in a models folder is to the editor; None where it is nothing."""
    known = known_file(path)
    if known:
        return known.kind if known.loads else None
    if path.suffix not in EXTENSIONS:
        return None
    outline = read_outline(path)
    try:
        kind = outline.metadata.get("kind") or detect(outline.tensors).kind
    except UnsupportedCheckpoint:
        return None
    return kind if kind in FOLDERS else None  # the judge, for one, edits nothing


def _prepared(path: StrPath, kind: str, recipes: Mapping[str, Recipe]) -> Any:
    """The model of a file, made by the recipe of its family."""
    checkpoint = _read(path, kind)
    recipe = recipes[detect(checkpoint.tensors).name]
    with _blaming(path):
        config = recipe.configure(checkpoint.tensors)
        network = _filled(recipe.network, config, checkpoint.tensors)
        network = channels_last(network) if recipe.channels_last else network
        return recipe.model(network, checkpoint.config)


def _read(path: StrPath, kind: str) -> Checkpoint:
    checkpoint = read_checkpoint(path)
    with _blaming(path):
        family = detect(checkpoint.tensors)
        if family.kind != kind:
            raise UnsupportedCheckpoint(
                f"expected a {kind} network, got {family.name}, a {family.kind} network: "
                "choose another file"
            )
    if doubted := doubt(path):
        warnings.warn(doubted, stacklevel=3)
    return checkpoint


@contextmanager
def _blaming(path: StrPath) -> Iterator[None]:
    """Turns what goes wrong with a file's tensors into an error that names the file."""
    try:
        yield
    except UnsupportedCheckpoint as error:
        raise UnsupportedCheckpoint(f"{path}: {error}") from error
    except MISFITS as error:
        reason = " ".join(str(error).split())[:300]
        raise UnsupportedCheckpoint(
            f"{path}: expected the tensors of one whole network, got others "
            f"({type(error).__name__}: {reason}): fetch the file again, or choose another"
        ) from error


def _filled(
    make: Callable[[Any], Network], config: object, tensors: Mapping[str, Tensor]
) -> Network:
    """A network made without values of its own, then given those of a file."""
    with torch.device("meta"):
        network = make(config)
    full = {name: t.float() if t.is_floating_point() else t for name, t in tensors.items()}
    network.load_state_dict(full, strict=True, assign=True)
    return network.eval().requires_grad_(False)


def laid_out(network: UNet | UNet2D) -> UNet | UNet2D:
    """A wide U-Net in the layout that is 5% faster for it, and slower for a narrow one."""
    wide = network.config.model_channels >= WIDE
    return channels_last(network) if wide else network


def channels_last(network: Network) -> Network:
    """The layout in which large convolutions run a fifth faster on a CPU."""
    return network.to(memory_format=torch.channels_last)
