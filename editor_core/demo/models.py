"""The demo's trained models, as they lie in `weights/`."""

from __future__ import annotations

from pathlib import Path

from ..checkpoints.loading import load_gaze, load_lpips, load_models, load_parser
from ..checkpoints.reading import read_checkpoint
from ..face.identity import IdentityEncoder
from ..settings import FaceModels
from .evaluation import Examiners
from .judge import Judge, JudgeConfig

WEIGHTS = Path(__file__).parent / "weights"


def file_of(kind: str) -> Path:
    """Laid out as ComfyUI's model folders are, one folder a kind."""
    return WEIGHTS / kind / "demo.safetensors"


def load_demo_models() -> FaceModels:
    """The five models that edit."""
    return load_models(WEIGHTS)


def load_examiners() -> Examiners:
    """The networks that measure edits."""
    return Examiners(
        load_parser(file_of("parser")),
        load_gaze(file_of("gaze")),
        load_lpips(file_of("lpips")),
        load_judge(),
    )


def load_judge() -> IdentityEncoder:
    """The encoder that only measures."""
    checkpoint = read_checkpoint(file_of("judge"))
    config = JudgeConfig(**checkpoint.config)
    judge = Judge(config)
    judge.load_state_dict(checkpoint.tensors)
    return IdentityEncoder(judge.eval().requires_grad_(False), size=config.input_size)
