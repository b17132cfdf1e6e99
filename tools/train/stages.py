"""Trains the demo models from portraits alone: what is learned, in which order, for how long.

Each stage is deterministic given the seed and can be stopped and resumed.
"""

import copy
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass, field
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
from ..evaluate.networks import Judge, JudgeConfig
from .dataset import load_or_draw
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
PORTRAIT_SIZE = 64  # pixels
PARSER_INPUT = 256  # pixels that the parser enlarges a portrait to
TEMPLATE = "demo"  # which portraits are drawn to
PEOPLE, PICTURES_EACH = 6144, 5
EMBEDDING = 256

IDENTITY_CONFIG = IResNetConfig((1, 1, 2, 1), (24, 48, 96, 192), EMBEDDING, PORTRAIT_SIZE)
PARSER_CONFIG = BiSeNetConfig(width=16)
GAZE_CONFIG = EyeNetConfig(nstack=1, nfeatures=16, nlandmarks=8, stem=8)
JUDGE_CONFIG = JudgeConfig(input_size=PORTRAIT_SIZE)
DENOISER_CONFIG = UNetConfig(
    model_channels=32,
    channel_mult=(1, 2, 4, 4),
    num_res_blocks=1,
    attention_factors=(8,),
    head_channels=32,
    resblock_updown=False,
    identity_channels=EMBEDDING,
    out_channels=3,
)

Networks = Mapping[str, nn.Module]  # trained ones, by stage


@dataclass(frozen=True)
class TrainingStage:
    """One network's training; `lesson` builds it, given the networks that came before."""

    kind: str  # of the model, also the name of its file
    seed: int
    course: Course
    lesson: Callable[[Networks], Lesson]
    needs: tuple[str, ...] = ()  # stages before it
    facts: Mapping[str, Any] | None = field(default_factory=dict)
    """In the model's file, beside the network's configuration; None where it gets no file."""


def perceptual_lesson(done: Networks) -> Lesson:
    """On a new SqueezeNet without its classifier."""
    from torchvision.models import squeezenet1_1

    network = squeezenet1_1(weights=None)
    del network.classifier
    return PerceptualLesson(network, channels=512)


def denoiser_lesson(lesson: type[DenoiserLesson], done: Networks, start: str = "") -> Lesson:
    """On a new U-Net, or on a copy of the one of the stage `start`."""
    encoder = IdentityEncoder(done["identity"], PORTRAIT_SIZE, template=TEMPLATE)
    if start:
        unet = cast(UNet, copy.deepcopy(done[start]).train().requires_grad_(True))
    else:
        unet = UNet(DENOISER_CONFIG)
    return lesson(unet, encoder, GaussianDiffusion.linear())


TRAINING_STAGES = (
    TrainingStage(
        "identity",
        1,
        Course((500, 600), 80),
        lambda _: IdentityLesson(IResNet(IDENTITY_CONFIG)),
        facts={"template": TEMPLATE, "same_person": 0.2},
    ),
    TrainingStage(
        "denoiser",
        2,
        Course((8000,), 8, 6e-4, ema=0.998, warmup=100, stop=4600),
        lambda done: denoiser_lesson(DenoiserLesson, done),
        needs=("identity",),
        facts=None,
    ),
    TrainingStage(
        "face",
        7,
        Course((3300,), 8, 6e-4, ema=0.998, warmup=100),
        lambda done: denoiser_lesson(FaceLesson, done, start="denoiser"),
        needs=("identity", "denoiser"),
        facts=None,
    ),
    TrainingStage(
        "diffusion",
        8,
        Course((4500,), 8, 6e-4, ema=0.998, warmup=100, stop=3400),
        lambda done: denoiser_lesson(SwapLesson, done, start="face"),
        needs=("identity", "denoiser", "face"),
        facts={"image_size": PORTRAIT_SIZE, "schedule": "linear", "predicts": "v"},
    ),
    TrainingStage(
        "parser",
        3,
        Course((900,), 6, 2e-3),
        lambda _: ParserLesson(BiSeNet(PARSER_CONFIG), PARSER_INPUT),
        facts={"size": PARSER_INPUT},
    ),
    TrainingStage(
        "gaze",
        4,
        Course((600,), 8),
        lambda _: GazeLesson(EyeNet(GAZE_CONFIG)),
        facts={"frame": "head"},
    ),
    TrainingStage(
        "judge", 5, Course((700, 1000), 80), lambda _: IdentityLesson(Judge(JUDGE_CONFIG))
    ),
    TrainingStage("lpips", 6, Course((300,), 64), perceptual_lesson, facts={"heads": False}),
)


def train(work: Path, weights: Path, seed: int = 0, kinds: Collection[str] = ()) -> None:
    """Train the demo's models, and write them as `weights/KIND/demo.safetensors`.

    Args:
        work: Folder of the drawn portraits and of what each stage resumes from.
        weights: Folder of the model files.
        seed: Of the portraits and of the new networks.
        kinds: Models to train, with those that they need; by default all.
    """
    stages = needed_stages(kinds)
    work.mkdir(parents=True, exist_ok=True)
    portraits = work / "portraits.safetensors"
    data = load_or_draw(portraits, PEOPLE, PICTURES_EACH, PORTRAIT_SIZE, seed)
    done: dict[str, nn.Module] = {}
    for stage in stages:
        torch.manual_seed(seed * 1000 + stage.seed)
        lesson, state = stage.lesson(done), work / f"{stage.kind}.pt"
        done[stage.kind] = network = learn(lesson, stage.course, data, state, stage.seed)
        if stage.facts is not None:
            config = getattr(network, "config", None)  # torchvision's networks have none
            facts = {**(asdict(config) if config else {}), **stage.facts}
            path = weights / stage.kind / "demo.safetensors"
            path.parent.mkdir(parents=True, exist_ok=True)
            command = f"python -m tools.train {stage.kind} --seed {seed}"
            origin = {"licence": LICENCE, "seed": str(seed), "training": command}
            save_model(path, network, stage.kind, facts, origin)


def needed_stages(kinds: Collection[str]) -> list[TrainingStage]:
    """The stages named, and those that they need; all where none is named."""
    known = [stage.kind for stage in TRAINING_STAGES]
    for kind in kinds:
        if kind not in known:
            raise ValueError(f'there is no model "{kind}" to train: choose from {", ".join(known)}')
    named = [stage for stage in TRAINING_STAGES if stage.kind in kinds or not kinds]
    needed = {kind for stage in named for kind in (stage.kind, *stage.needs)}
    return [stage for stage in TRAINING_STAGES if stage.kind in needed]
