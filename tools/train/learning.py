"""Training that can be stopped, resumed and repeated: one loop for every lesson."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from tqdm import tqdm

from ...editor_core.files import atomic_write
from .dataset import PortraitSet

SAVE_EVERY = 100  # steps


class Lesson(nn.Module):
    """What a network learns from: called with pictures, their rows and a generator, it answers
    the scalar loss. Whatever else it holds serves the training alone."""

    network: nn.Module

    def groups(self) -> list[dict[str, Any]]:
        """The parameters by pace, a factor of the learning rate."""
        return [{"params": list(self.parameters()), "pace": 1.0}]


@dataclass(frozen=True)
class Course:
    """How long and how fast a lesson is learned, in cycles that each warm up and cool down."""

    cycles: tuple[int, ...]  # steps
    batch: int
    learning_rate: float
    ema: float = 0.99
    warmup: int = 50
    stop: int | None = None  # steps after which it ends, whatever the cycles say

    @property
    def steps(self) -> int:
        return self.stop or sum(self.cycles)

    def rate(self, step: int) -> float:
        """Linear warm-up, then a cosine to zero, in every cycle (SGDR, Loshchilov and Hutter)."""
        for length in self.cycles:
            if step < length:
                break
            step -= length
        warm = (step + 1) / self.warmup if step < self.warmup else cosine(step / length)
        return self.learning_rate * warm


def cosine(progress: float) -> float:
    """From 1 at 0 to 0 at 1."""
    return 0.5 * (1 + math.cos(math.pi * progress))


def learn(lesson: Lesson, course: Course, data: PortraitSet, state: Path, seed: int) -> nn.Module:
    """Train `lesson`, continuing from the file `state`; return its averaged network.

    Step k draws from its own generator, so that a resumed training equals an unbroken one.
    """
    average = AveragedModel(
        lesson, multi_avg_fn=get_ema_multi_avg_fn(course.ema), use_buffers=False
    )
    optimiser = torch.optim.AdamW(lesson.groups(), lr=0.0, betas=(0.9, 0.99), weight_decay=1e-4)
    done = restore(state, lesson, average, optimiser)
    bar = tqdm(range(done, course.steps), initial=done, total=course.steps, desc=state.stem)
    smooth = None
    for step in bar:
        loss = train_step(lesson, course, data, optimiser, step, seed)
        average.update_parameters(lesson)
        smooth = loss if smooth is None else 0.98 * smooth + 0.02 * loss
        bar.set_postfix(loss=f"{smooth:.4f}", refresh=False)
        if (step + 1) % SAVE_EVERY == 0 or step + 1 == course.steps:
            save(state, lesson, average, optimiser, step + 1)
    return averaged_network(lesson, average)


def train_step(
    lesson: Lesson, course: Course, data: PortraitSet, optimiser, step: int, seed: int
) -> float:
    """One optimiser step; return the loss."""
    generator = torch.Generator().manual_seed(seed * 1_000_003 + step)
    rows = torch.randint(len(data), (course.batch,), generator=generator)
    for group in optimiser.param_groups:
        group["lr"] = course.rate(step) * group["pace"]
    loss = lesson(data, rows, generator)
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    nn.utils.clip_grad_norm_(lesson.parameters(), 1.0)
    optimiser.step()
    return loss.item()


def averaged_network(lesson: Lesson, average: AveragedModel) -> nn.Module:
    """The network with averaged parameters and the running statistics of the last step."""
    network = cast(Lesson, average.module).network
    network.load_state_dict(dict(lesson.network.named_buffers()), strict=False)
    return network.eval().requires_grad_(False)


def save(state: Path, lesson, average, optimiser, step: int) -> None:
    """Write everything that the next step depends on."""
    parts = {"lesson": lesson, "average": average, "optimiser": optimiser}
    with atomic_write(state) as part:
        torch.save({"step": step} | {k: v.state_dict() for k, v in parts.items()}, part)


def restore(state: Path, lesson, average, optimiser) -> int:
    """Read what `save` wrote, if anything; return the next step."""
    if not state.exists():
        return 0
    saved = torch.load(state, weights_only=True)
    lesson.load_state_dict(saved["lesson"])
    average.load_state_dict(saved["average"])
    optimiser.load_state_dict(saved["optimiser"])
    return saved["step"]
