"""Model files as the editor's models: on the CPU, in evaluation mode, in full precision.

All of it works inside a caller's `torch.inference_mode()` too, and draws no random numbers. Every
loader raises `MissingModel` where there is no file, and `CheckpointError` where it cannot be used.
"""

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from ..autograd import gradients
from ..checkpoints.errors import MISFITS, MissingModel, UnsupportedCheckpoint
from ..checkpoints.reading import Checkpoint, read_checkpoint, read_metadata, read_outline
from ..diffusion.process import DiffusionModel
from ..face.clip import ClipEncoder
from ..face.gaze import GazeEstimator
from ..face.head import IrisGazeEstimator
from ..face.identity import IdentityEncoder
from ..face.landmarks import FaceLandmarker
from ..face.parsing import FaceParser
from ..files import StrPath
from ..models.lpips import Lpips, detect_backbone
from .clip import clip_encoder
from .diffusion import diffusion_model
from .families import detect, family_of
from .folders import DETECTION, EXTENSIONS, find_weights
from .known_files import FOLDERS, known_file, mismatch_warning, missing_model
from .networks import channels_last, load_network
from .recipes import RECIPES

PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class FaceModels:
    """The trained models of an edit; those after the parser only where they are wanted."""

    diffusion: DiffusionModel
    identity: IdentityEncoder
    parser: FaceParser
    gaze: GazeEstimator | None = None
    lpips: Lpips | None = None
    landmarks: FaceLandmarker | None = None
    clip: ClipEncoder | None = None


def load_models(folder: StrPath) -> FaceModels:
    """All the models in a folder and the folders in it.

    Args:
        folder: has one model file of each kind, see `find_models`. Those of gaze, LPIPS, landmarks
            and CLIP may be missing; without one of gaze, landmarks tell it by the irises.

    Returns:
        The models, on the CPU, in float32.

    Raises:
        MissingModel: the folder is not there, or has no diffusion, identity or parser model.
        CheckpointError: a file cannot be used, see `read_checkpoint`, or two are of one kind.

    Examples:
        The models of the drawn world, which come with the package:

        >>> from guided_face_edit.editor_core.demo.models import WEIGHTS
        >>> models = load_models(WEIGHTS)
        >>> models.diffusion.image_size, models.identity.size, models.parser.size
        (64, 64, 256)
    """
    files = find_models(folder)
    for kind in ("diffusion", "identity", "parser"):
        if kind not in files:
            raise missing_model(kind, folder)
    models = FaceModels(**{kind: LOADERS[kind](files[kind]) for kind in LOADERS if kind in files})
    if models.gaze is None and models.landmarks is not None:
        return replace(models, gaze=IrisGazeEstimator(models.landmarks))
    return models


def find_models(folder: StrPath) -> dict[str, Path]:
    """The model file of each kind in a folder and the folders in it.

    Args:
        folder: is searched two levels deep. The name of a published file, else a file's metadata,
            else its tensors decide what kind it is of; what is of none is passed over.

    Returns:
        Files by kind: diffusion, identity, parser, gaze, lpips, landmarks, clip.

    Raises:
        MissingModel: there is no such folder.
        CheckpointError: two files are of one kind, or one cannot be read.
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
                f"and {path.relative_to(folder)}: take one of them away"
            )
        if kind:
            found[kind] = path
    return found


def _kind(path: Path) -> str | None:
    """The kind of a file in a models folder; None where it is no model that edits."""
    if known := known_file(path):
        return known.kind if known.loads else None
    if path.suffix not in EXTENSIONS or path.parent.name == DETECTION:
        return None
    try:
        kind = read_metadata(path).get("kind") or detect(read_outline(path).tensors).kind
    except UnsupportedCheckpoint:
        return None
    return kind if kind in FOLDERS else None  # the judge, for one, edits nothing


@gradients()
def load_diffusion(path: StrPath, hints: Mapping[str, Any] | None = None) -> DiffusionModel:
    """A diffusion model, of a file or a diffusers folder.

    Args:
        path: a safetensors or torch file, or a diffusers folder or pipeline.
        hints: what tensors leave open; they override what is known of a published file, and that
            overrides the file's own config. Of an ADM U-Net these are `num_heads` or
            `head_channels`, `attention_order`, `image_size` (pixels), `schedule` ("linear" or
            "cosine"), `diffusion_steps` and `predicts` ("epsilon" or "v"); of one of diffusers,
            the entries of its `config.json` and `scheduler_config.json`.

    Returns:
        The U-Net, for pictures (B,3,image_size,image_size) in [-1, 1], with its schedule. A warning
        says what had to be assumed for want of hints.

    Raises:
        MissingModel: there is no such file; the message says where a published one comes from.
        CheckpointError: the file cannot be used, see `read_checkpoint`.
    """
    with _checkpoint(path, "diffusion") as checkpoint:
        return diffusion_model(checkpoint, hints)


def load_identity(path: StrPath) -> IdentityEncoder:
    """An identity encoder.

    Args:
        path: a safetensors, torch or ONNX file. All sizes are in its tensors, but for FaceNet's
            input, whose side is `size` (pixels) in the file's config, else 160. The config may also
            say the `template` that its pictures were aligned to, and `same_person`, the identity
            distance up to which faces are one person's; else they are the family's.

    Returns:
        The encoder: pictures (B,3,H,W) in [-1, 1] to unit vectors (B,E).
    """
    return _load(path, "identity")


def load_parser(path: StrPath) -> FaceParser:
    """A face parser, of CelebAMask-HQ's 19 classes.

    Args:
        path: a safetensors or torch file, or a SegFormer's folder. The side of the network's input
            is `size` (pixels) in the file's config, else 512.

    Returns:
        The parser: pictures (B,3,H,W) in [-1, 1] to logits (B,19,h,w), in the order of `FacePart`.
    """
    return _load(path, "parser")


def load_gaze(path: StrPath) -> GazeEstimator:
    """A gaze estimator, all of whose sizes are in its tensors.

    Args:
        path: a safetensors or torch file, of EyeNet, L2CS-Net or MobileGaze.

    Returns:
        The estimator: pictures (B,3,H,W) in [-1, 1] and eye boxes (pixels) to pitch and yaw
        (radians) of each eye or face.
    """
    return _load(path, "gaze")


@gradients()
def load_lpips(path: StrPath) -> Lpips:
    """LPIPS on a backbone.

    Args:
        path: a safetensors or torch file of VGG-16, AlexNet or SqueezeNet 1.1, as torchvision
            publishes them. The heads are the published ones, which the package lpips brings;
            there are none where the file's config says `heads` false.

    Returns:
        The distance: two batches of pictures (B,3,H,W) in [-1, 1] to (B,), 0 for the same.
    """
    with _checkpoint(path, "lpips") as checkpoint:
        backbone = detect_backbone(checkpoint.tensors)
        network = Lpips(backbone, checkpoint.tensors, checkpoint.config.get("heads", True))
    return network.requires_grad_(False)


def load_landmarks(path: StrPath) -> FaceLandmarker:
    """A face landmarker, all of whose sizes are in its tensors.

    Args:
        path: a safetensors or torch file of FaceMesh v2, as ComfyUI publishes it, or the tflite
            file of the Attention Mesh that the package mediapipe brings along.

    Returns:
        The landmarker: pictures (B,3,H,W) in [-1, 1] and where the face is to landmarks
        (B,478,3), and of FaceMesh v2 to 52 blendshapes.
    """
    return _load(path, "landmarks")


@gradients()
def load_clip(path: StrPath) -> ClipEncoder:
    """CLIP, of a folder as the transformers library publishes it.

    Args:
        path: the folder, or its file model.safetensors or pytorch_model.bin. Beside it must be
            `config.json` and the tokenizer: `tokenizer.json`, or `vocab.json` and `merges.txt`.

    Returns:
        The encoder: pictures (B,3,H,W) in [-1, 1], and texts, to unit vectors of one space.

    Raises:
        MissingModel: there is no such file, or none of those beside it.
        CheckpointError: the file cannot be used, or transformers is not installed.
    """
    with _checkpoint(path, "clip") as checkpoint:
        return clip_encoder(checkpoint)


LOADERS: dict[str, Callable[[StrPath], Any]] = {
    "diffusion": load_diffusion,
    "identity": load_identity,
    "parser": load_parser,
    "gaze": load_gaze,
    "lpips": load_lpips,
    "landmarks": load_landmarks,
    "clip": load_clip,
}


@gradients()
def _load(path: StrPath, kind: str) -> Any:
    with _checkpoint(path, kind) as checkpoint:
        recipe = RECIPES[family_of(checkpoint).name]
        tensors = recipe.tensors(checkpoint.tensors)
        config = recipe.config.from_state_dict(tensors)
        network = load_network(recipe.network, config, tensors)
        network = channels_last(network) if recipe.channels_last else network
        return recipe.model(network, {**recipe.beside(checkpoint.path), **checkpoint.config})


@contextmanager
def _checkpoint(path: StrPath, kind: str) -> Iterator[Checkpoint]:
    """The checkpoint of a file of a kind; an error over its tensors then names the file."""
    checkpoint = read_checkpoint(find_weights(path))
    family = family_of(checkpoint)
    if family.kind != kind:
        raise UnsupportedCheckpoint(
            f"{checkpoint.path}: expected a {kind} network, got {family.name}, a {family.kind} "
            "network: choose another file"
        )
    if warning := mismatch_warning(checkpoint.path):
        warnings.warn(warning, stacklevel=5)
    try:
        yield checkpoint
    except UnsupportedCheckpoint as error:
        raise UnsupportedCheckpoint(f"{checkpoint.path}: {error}") from error
    except MISFITS as error:
        reason = " ".join(str(error).split())[:300]
        raise UnsupportedCheckpoint(
            f"{checkpoint.path}: expected the tensors of one whole network, got others "
            f"({type(error).__name__}: {reason}): fetch the file again, or choose another"
        ) from error
