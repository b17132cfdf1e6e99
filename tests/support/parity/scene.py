"""What the guided cases share: networks by seed, the two pictures, and the reference's terms."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from guided_face_edit.editor_core.diffusion.process import (
    DiffusionModel,
    GaussianDiffusion,
    UNetDenoiser,
)
from guided_face_edit.editor_core.face.gaze import EyeGazeEstimator
from guided_face_edit.editor_core.face.identity import IdentityEncoder, embed_identity
from guided_face_edit.editor_core.face.parsing import FaceParser, FaceParsing
from guided_face_edit.editor_core.guidance.batch import EditBatch
from guided_face_edit.editor_core.guidance.terms import (
    BoundTerm,
    GazeTerm,
    IdentityTerm,
    ParsingTerm,
    PixelTerm,
    bind_terms,
)
from guided_face_edit.editor_core.loading.models import FaceModels
from guided_face_edit.editor_core.presets import preset
from guided_face_edit.editor_core.reference.inputs import with_reference_inputs
from guided_face_edit.editor_core.reference.pipeline import eyes_unclamped
from guided_face_edit.editor_core.reference.views import TwoWarpViews

from .augment import GivenWarps
from .networks import bisenet_from_note, eyenet_from_note, iresnet_from_note, unet_from_note
from .process import diffusion_of

Notes = dict[str, Any]
Tensors = Mapping[str, Tensor]

MAKERS = {"bisenet": bisenet_from_note, "arcface": iresnet_from_note, "eyenet": eyenet_from_note}
CHANNELS_LAST = ("bisenet", "arcface")  # as the loaders lay them out
PARSING_SIZE = 256  # at which the reference compares parsings, whatever the picture's size
EXACT = preset("diffface-exact")


@cache
def read_notes(folder: Path) -> Notes:
    return json.loads((folder / "manifest.json").read_text(encoding="utf-8"))


@cache
def read_tensors(path: Path) -> Tensors:
    return load_file(path)


@cache
def network(folder: Path, kind: str, seed: int) -> Any:
    """A network of the guidance with the fill rule's weights, laid out as the loaders do."""
    manifest = read_notes(folder)
    described = manifest["files"].get("nets.safetensors", {"notes": {}})["notes"].get(kind, {})
    sizes = {key: value for key, value in described.items() if key != "sha256_of_all"}
    filled = MAKERS[kind]({"rules": kind, **sizes, "seed": seed}, manifest["rules"])
    return filled.to(memory_format=torch.channels_last) if kind in CHANNELS_LAST else filled


def face_models(folder: Path, note: Notes, tensors: Tensors) -> FaceModels:
    """The models of a case: its own U-Net, the others by their seeds."""
    seeds = note.get("seeds", read_notes(folder)["seeds"])
    return FaceModels(
        diffusion=_diffusion_model(folder, note, tensors),
        identity=IdentityEncoder(network(folder, "arcface", seeds["arc"])),
        parser=FaceParser(network(folder, "bisenet", seeds["seg"])),
        gaze=EyeGazeEstimator(network(folder, "eyenet", seeds["eye"])),
    )


def _diffusion_model(folder: Path, note: Notes, tensors: Tensors) -> DiffusionModel:
    manifest, config = read_notes(folder), note["config"]
    if isinstance(note["unet"], str):
        file = file_named(note["unet"])
        unet = unet_from_note(
            manifest["files"][file]["notes"], manifest["rules"], read_tensors(folder / file)
        )
    else:
        unet = unet_from_note({**note, **note["unet"]}, manifest["rules"], tensors)
    full = diffusion_of(config["noise_schedule"], "", config["diffusion_steps"])
    return DiffusionModel(unet, full, config["image_size"])


def file_named(text: str) -> str:
    """`state dict of unet_a.safetensors` -> `unet_a.safetensors`"""
    return re.search(r"[\w.-]+\.safetensors", text)[0]


def signed(pixels: Tensor) -> Tensor:  # (3,H,W) bytes -> (1,3,H,W) in [-1,1]
    return pixels.float()[None] / 255 * 2 - 1


@dataclass
class Metric:
    """A value at every step that pulls at nothing: mse to the target blackened inside the mask."""

    target: Tensor
    mask: Tensor
    name = "background"
    scale = 1.0
    window = EXACT.identity.window

    def loss(self, image: Tensor) -> Tensor:
        kept = self.target * (1 - self.mask)
        return (image.detach() - kept).square().mean((1, 2, 3))


@dataclass
class ReferenceScene:
    """A source on a target as the reference sees them, one pair."""

    models: FaceModels
    source: Tensor  # (1,3,H,W)
    target: Tensor  # (1,3,H,W)
    mask: Tensor  # (1,1,H,W)
    landmarks: Tensor  # (1,4,2)

    @cached_property
    def embedding(self) -> Tensor:
        return embed_identity(self.models.identity, self.source)

    def denoiser(self, diffusion: GaussianDiffusion) -> UNetDenoiser:
        return self.models.diffusion.denoiser(diffusion, self.embedding)

    @cached_property
    def batch(self) -> EditBatch:
        """The pair as terms are bound to it; parsings are compared at the reference's size."""
        parsing = FaceParsing(self.models.parser.logits(self.target, PARSING_SIZE))
        parsings = [(self.models.parser, parsing)]
        return EditBatch(self.target, self.mask, self.embedding, [], parsings=parsings)

    def terms(self, warps: GivenWarps, copies: int) -> dict[str, BoundTerm]:
        """The terms of the exact preset, and the metric, by the reference's names."""
        models, scales = self.models, {k: vars(getattr(EXACT, k)) for k in SCALED}
        views, eyes = TwoWarpViews(warps, copies), eyes_unclamped(self.landmarks)
        terms = (
            IdentityTerm(identity=models.identity, views=views, **scales["identity"]),
            ParsingTerm(parser=models.parser, **scales["parsing"]),
            GazeTerm(gaze=models.gaze, eyes=eyes, **scales["gaze"]),
            PixelTerm(**scales["pixel"]),
        )
        bound = dict(zip(LOSSES, bind_terms(terms, self.batch), strict=False))
        return {**bound, "bg": Metric(self.target, self.mask)}


SCALED = ("identity", "parsing", "gaze", "pixel")
LOSSES = ("id", "seg", "gaze", "l2", "bg")  # in the order of the golden rows
LOGGED_SCALED = ("id", "gaze")  # the reference logs these two times their scale


def reference_scene(folder: Path, note: Notes, tensors: Tensors, inputs: Tensors) -> ReferenceScene:
    """A case of `note`, whose pictures are among `inputs`."""
    models = with_reference_inputs(face_models(folder, note, tensors))
    source, target = signed(inputs["source01"]), signed(inputs["target01"])
    return ReferenceScene(models, source, target, inputs["mask"].float(), inputs["landmarks"][None])


def logged(terms: dict[str, BoundTerm], values: dict[str, Tensor]) -> Tensor:
    """A step's losses (5,) as the reference logs them: 0 where a term is not active."""
    row = [values.get(terms[key].name, torch.zeros(1)) for key in LOSSES]
    scales = [terms[key].scale if key in LOGGED_SCALED else 1.0 for key in LOSSES]
    return torch.cat(row).double() * torch.tensor(scales, dtype=torch.float64)
