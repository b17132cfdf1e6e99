"""Model files as the editor's models: on the CPU, in evaluation mode, in full precision.

All of it works inside a caller's `torch.inference_mode()` too, and draws no random numbers.
"""

import os
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar, get_args

import torch
from torch import Tensor, nn

from ..autograd import gradients
from ..diffusion.process import DiffusionModel, GaussianDiffusion, Predicts
from ..face.gaze import GazeEstimator
from ..face.identity import IdentityEncoder
from ..face.parsing import FaceParser
from ..models import bisenet, eyenet, iresnet, unet
from ..models.lpips import Lpips, backbone_of
from ..settings import FaceModels
from .families import detect
from .known_files import MissingModel, known_file, missing
from .reading import (
    Checkpoint,
    UnsupportedCheckpoint,
    read_checkpoint,
    read_metadata,
    read_names,
)

StrPath = str | os.PathLike[str]
Network = TypeVar("Network", bound=nn.Module)

REQUIRED = ("diffusion", "identity", "parser")
SCHEDULES = {"linear": GaussianDiffusion.linear, "cosine": GaussianDiffusion.cosine}
PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
DEFAULT_IMAGE_SIZE = 256
DEFAULT_PARSER_SIZE = 512
WIDE = 128  # channels
MISFITS = (LookupError, ValueError, TypeError, RuntimeError, ArithmeticError)  # of tensors


@gradients()
def load_diffusion(path: StrPath, hints: Mapping[str, Any] | None = None) -> DiffusionModel:
    """A diffusion model. What tensors do not tell comes from `hints`, else from the file's config.

    These are `num_heads` or `head_channels`, `attention_order`, `image_size` (pixels), `schedule`
    ("linear" or "cosine"), `diffusion_steps` and `predicts` ("epsilon" or "v"); of a network whose
    shape is not a published one, assumed heads and sizes are said in a warning.
    """
    checkpoint = _read(path, "diffusion")
    told = {**checkpoint.config, **(hints or {})}
    with _blaming(path):
        config = unet.config_from_state_dict(checkpoint.tensors, told)
        network = laid_out(_filled(unet.UNet, config, checkpoint.tensors))
        size = _image_size(checkpoint, told)
        return DiffusionModel(network, _schedule(told), size, _predicts(told))


@gradients()
def load_parser(path: StrPath) -> FaceParser:
    """A face parser; its input's `size` (pixels) comes from the file's config, else is 512."""
    checkpoint = _read(path, "parser")
    with _blaming(path):
        config = bisenet.config_from_state_dict(checkpoint.tensors)
        network = _filled(bisenet.BiSeNet, config, checkpoint.tensors)
    return FaceParser(
        channels_last(network), size=checkpoint.config.get("size", DEFAULT_PARSER_SIZE)
    )


@gradients()
def load_identity(path: StrPath) -> IdentityEncoder:
    """An identity encoder, all of whose sizes are in its tensors."""
    checkpoint = _read(path, "identity")
    with _blaming(path):
        config = iresnet.config_from_state_dict(checkpoint.tensors)
        network = _filled(iresnet.IResNet, config, checkpoint.tensors)
    return IdentityEncoder(channels_last(network), size=config.input_size)


@gradients()
def load_gaze(path: StrPath) -> GazeEstimator:
    """A gaze estimator, all of whose sizes are in its tensors."""
    checkpoint = _read(path, "gaze")
    with _blaming(path):
        config = eyenet.config_from_state_dict(checkpoint.tensors)
        return GazeEstimator(_filled(eyenet.EyeNet, config, checkpoint.tensors))


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
    known = known_file(path.name)
    if known:
        return known.kind
    if path.suffix != ".safetensors":
        return read_metadata(path).get("kind")
    try:
        return read_metadata(path).get("kind") or detect(read_names(path)).kind
    except UnsupportedCheckpoint:
        return None


def _read(path: StrPath, kind: str) -> Checkpoint:
    checkpoint = read_checkpoint(path)
    with _blaming(path):
        family = detect(checkpoint.tensors)
        if family.kind != kind:
            raise UnsupportedCheckpoint(
                f"expected a {kind} network, got {family.name}, a {family.kind} network: "
                "choose another file"
            )
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


def laid_out(network: unet.UNet) -> unet.UNet:
    """A wide U-Net in the layout that is 5% faster for it, and slower for a narrow one."""
    wide = network.config.model_channels >= WIDE
    return channels_last(network) if wide else network


def channels_last(network: Network) -> Network:
    """The layout in which large convolutions run a fifth faster on a CPU."""
    return network.to(memory_format=torch.channels_last)


def _schedule(told: Mapping[str, Any]) -> GaussianDiffusion:
    name = told.get("schedule", "linear")
    if name not in SCHEDULES:
        raise ValueError(f"schedule is {name!r}: expected one of {', '.join(SCHEDULES)}")
    return SCHEDULES[name](told.get("diffusion_steps", 1000))


def _predicts(told: Mapping[str, Any]) -> Predicts:
    predicts = told.get("predicts", "epsilon")
    known = get_args(Predicts)
    if predicts not in known:
        raise ValueError(f"predicts is {predicts!r}: expected one of {', '.join(known)}")
    return predicts


def _image_size(checkpoint: Checkpoint, told: Mapping[str, Any]) -> int:
    if "image_size" not in told and not unet.is_published(checkpoint.tensors):
        warnings.warn(
            f"{checkpoint.path} does not tell its picture size: assuming {DEFAULT_IMAGE_SIZE} "
            "pixels; name image_size where that is wrong",
            stacklevel=2,
        )
    return told.get("image_size", DEFAULT_IMAGE_SIZE)
