"""Trains the demo models from portraits alone: what is learned, in which order, for how long.

Each stage is deterministic given the seed and can be stopped and resumed.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn

from ...editor_core.checkpoints.saving import save_model
from ...editor_core.diffusion.process import GaussianDiffusion
from ...editor_core.face.identity import IdentityEncoder
from ...editor_core.models.bisenet import BiSeNet, BiSeNetConfig
from ...editor_core.models.eyenet import EyeNet, EyeNetConfig
from ...editor_core.models.iresnet import IResNet, IResNetConfig
from ...editor_core.models.unet import UNet, UNetConfig
from ..evaluate.judge import Judge, JudgeConfig
from .dataset import PortraitSet, portrait_set
from .learning import Course, Lesson, learn
from .lessons import (
    DenoiserLesson,
    FaceLesson,
    GazeLesson,
    IdentityLesson,
    ParserLesson,
    PerceptualLesson,
    SwapLesson,
)

LICENCE = "MIT"
SIZE = 64  # pixels of a portrait
PARSER_SIZE = 256  # pixels that the parser enlarges it to
PEOPLE, PICTURES = 6144, 5
EMBEDDING = 256

IDENTITY = IResNetConfig((1, 1, 2, 1), (24, 48, 96, 192), EMBEDDING, SIZE)
PARSER = BiSeNetConfig(width=16)
GAZE = EyeNetConfig(nstack=1, nfeatures=16, nlandmarks=8, stem=8)
JUDGE = JudgeConfig(input_size=SIZE)
DENOISER = UNetConfig(
    model_channels=32,
    channel_mult=(1, 2, 4, 4),
    num_res_blocks=1,
    attention_factors=(8,),
    head_channels=32,
    resblock_updown=False,
    identity_channels=EMBEDDING,
    out_channels=3,
)


@dataclass(frozen=True)
class Stage:
    """One network's training; `lesson` builds it, given the networks that came before."""

    kind: str  # of the model, also the name of its file
    seed: int
    course: Course
    config: dict[str, Any] | None  # what the model's file says of it; None where it gets no file
    lesson: Callable[[dict[str, nn.Module]], Lesson]
    needs: tuple[str, ...] = ()  # stages before it


def identity_lesson(done: dict[str, nn.Module]) -> Lesson:
    return IdentityLesson(IResNet(IDENTITY), EMBEDDING)


def judge_lesson(done: dict[str, nn.Module]) -> Lesson:
    return IdentityLesson(Judge(JUDGE), JUDGE.embedding)


def parser_lesson(done: dict[str, nn.Module]) -> Lesson:
    return ParserLesson(BiSeNet(PARSER), PARSER_SIZE)


def gaze_lesson(done: dict[str, nn.Module]) -> Lesson:
    return GazeLesson(EyeNet(GAZE))


def perceptual_lesson(done: dict[str, nn.Module]) -> Lesson:
    from torchvision.models import squeezenet1_1

    network = squeezenet1_1(weights=None)
    del network.classifier
    return PerceptualLesson(network, channels=512)


def denoiser_lesson(done: dict[str, nn.Module]) -> Lesson:
    encoder = IdentityEncoder(done["identity"], SIZE)
    return DenoiserLesson(UNet(DENOISER), encoder, GaussianDiffusion.linear())


def face_lesson(done: dict[str, nn.Module]) -> Lesson:
    encoder = IdentityEncoder(done["identity"], SIZE)
    return FaceLesson(resumed(done["denoiser"]), encoder, GaussianDiffusion.linear())


def swap_lesson(done: dict[str, nn.Module]) -> Lesson:
    encoder = IdentityEncoder(done["identity"], SIZE)
    return SwapLesson(resumed(done["face"]), encoder, GaussianDiffusion.linear())


def resumed(network: nn.Module) -> UNet:
    """A copy of a trained U-Net, to train on."""
    return cast(UNet, copy.deepcopy(network).train().requires_grad_(True))


STAGES = (
    Stage("identity", 1, Course((500, 600), 80, 1e-3), asdict(IDENTITY), identity_lesson),
    Stage(
        "denoiser",
        2,
        Course((8000,), 8, 6e-4, ema=0.998, warmup=100, stop=4600),
        None,
        denoiser_lesson,
        needs=("identity",),
    ),
    Stage(
        "face",
        7,
        Course((3300,), 8, 6e-4, ema=0.998, warmup=100),
        None,
        face_lesson,
        needs=("identity", "denoiser"),
    ),
    Stage(
        "diffusion",
        8,
        Course((4500,), 8, 6e-4, ema=0.998, warmup=100, stop=3400),
        {**asdict(DENOISER), "image_size": SIZE, "schedule": "linear", "predicts": "v"},
        swap_lesson,
        needs=("identity", "denoiser", "face"),
    ),
    Stage(
        "parser", 3, Course((900,), 6, 2e-3), {**asdict(PARSER), "size": PARSER_SIZE}, parser_lesson
    ),
    Stage("gaze", 4, Course((600,), 8, 1e-3), asdict(GAZE), gaze_lesson),
    Stage("judge", 5, Course((700, 1000), 80, 1e-3), asdict(JUDGE), judge_lesson),
    Stage("lpips", 6, Course((300,), 64, 1e-3), {"heads": False}, perceptual_lesson),
)


def train(work: Path, weights: Path, seed: int = 0, kinds: Collection[str] = ()) -> None:
    """Run the stages named (default: all), resuming what lies in `work`; write to `weights`."""
    require_known(kinds)
    work.mkdir(parents=True, exist_ok=True)
    data = portrait_set(work / "portraits.safetensors", PEOPLE, PICTURES, SIZE, seed)
    done: dict[str, nn.Module] = {}
    for stage in wanted(kinds):
        done[stage.kind] = network = run(stage, data, done, work, seed)
        if stage.config is not None:
            write(weights / stage.kind / "demo.safetensors", stage, network, seed)


def wanted(kinds: Collection[str]) -> list[Stage]:
    """The stages named, and those that they need; all where none is named."""
    named = [stage for stage in STAGES if stage.kind in kinds or not kinds]
    needed = {kind for stage in named for kind in (stage.kind, *stage.needs)}
    return [stage for stage in STAGES if stage.kind in needed]


def write(path: Path, stage: Stage, network: nn.Module, seed: int) -> None:
    """Save a stage's network with what the file says of it."""
    origin = {
        "licence": LICENCE,
        "seed": str(seed),
        "training": f"python -m editor_core train {stage.kind} --seed {seed}",
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    save_model(path, network, stage.kind, stage.config or {}, origin)


def require_known(kinds: Collection[str]) -> None:
    """Refuse a model that no stage trains."""
    known = [stage.kind for stage in STAGES]
    for kind in kinds:
        if kind not in known:
            raise ValueError(f'there is no model "{kind}" to train: choose from {", ".join(known)}')


def run(
    stage: Stage, data: PortraitSet, done: dict[str, nn.Module], work: Path, seed: int
) -> nn.Module:
    """One stage, from new weights or from where it stopped."""
    torch.manual_seed(seed * 1000 + stage.seed)
    lesson = stage.lesson(done)
    return learn(lesson, stage.course, data, work / f"{stage.kind}.pt", stage.seed)
