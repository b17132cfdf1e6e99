"""The networks that measure edits, as they lie in the demo's `weights/`."""

from __future__ import annotations

from ...editor_core.checkpoints.reading import read_checkpoint
from ...editor_core.demo.models import file_of
from ...editor_core.face.identity import IdentityEncoder
from ...editor_core.loading.models import load_gaze, load_lpips, load_parser
from .judge import Judge, JudgeConfig
from .measurements import Examiners


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
