"""Training that can be stopped, resumed and repeated: one loop for every lesson."""

import math
from collections.abc import Mapping, Sized
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from tqdm import tqdm

from ...editor_core.files import atomic_write

SAVE_EVERY = 100  # steps


class Lesson(nn.Module):
    """What a network learns from: called with pictures, their rows and a generator, it returns
    the scalar loss. Whatever else it holds serves the training alone."""

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network

    def groups(self) -> list[dict[str, Any]]:
        """The parameters by pace, a factor of the learning rate."""
        return [{"params": list(self.parameters()), "pace": 1.0}]


@dataclass(frozen=True)
class Course:
    """How long and how fast a lesson is learned, in cycles that each warm up and cool down."""

    cycles: tuple[int, ...]  # steps
    batch: int
    learning_rate: float = 1e-3
    ema: float = 0.99
    warmup: int = 50
    stop: int | None = None  # steps after which it ends, in the middle of a cycle

    @property
    def steps(self) -> int:
        return self.stop or sum(self.cycles)

    def rate(self, step: int) -> float:
        """Linear warm-up, then a cosine to zero, in every cycle (SGDR, Loshchilov and Hutter)."""
        for length in self.cycles:
            if step < length:
                break
            step -= length
        if step < self.warmup:
            return self.learning_rate * ((step + 1) / self.warmup)
        return self.learning_rate * (0.5 * (1 + math.cos(math.pi * (step / length))))


def learn(lesson: Lesson, course: Course, data: Sized, state: Path, seed: int) -> nn.Module:
    """Train `lesson`, continuing from the file `state`; return its averaged network.

    Step k draws from its own generator, so that a resumed training equals an unbroken one. The
    network has the averaged parameters and the running statistics of the last step.
    """
    ema = get_ema_multi_avg_fn(course.ema)
    average = AveragedModel(lesson, multi_avg_fn=ema, use_buffers=False)
    optimiser = torch.optim.AdamW(lesson.groups(), lr=0.0, betas=(0.9, 0.99), weight_decay=1e-4)
    parts = {"lesson": lesson, "average": average, "optimiser": optimiser}
    done = restore(state, parts)
    bar = tqdm(range(done, course.steps), initial=done, total=course.steps, desc=state.stem)
    smooth = None
    for step in bar:
        loss = train_step(lesson, course, data, optimiser, step, seed)
        average.update_parameters(lesson)
        smooth = loss if smooth is None else 0.98 * smooth + 0.02 * loss
        bar.set_postfix(loss=f"{smooth:.4f}", refresh=False)
        if (step + 1) % SAVE_EVERY == 0 or step + 1 == course.steps:
            save(state, parts, step + 1)
    network = cast(Lesson, average.module).network
    network.load_state_dict(dict(lesson.network.named_buffers()), strict=False)
    return network.eval().requires_grad_(False)


def train_step(
    lesson: Lesson, course: Course, data: Sized, optimiser, step: int, seed: int
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


def save(state: Path, parts: Mapping[str, Any], step: int) -> None:
    """Write everything that the next step depends on."""
    with atomic_write(state) as part:
        torch.save({"step": step} | {name: parts[name].state_dict() for name in parts}, part)


def restore(state: Path, parts: Mapping[str, Any]) -> int:
    """Read what `save` wrote, if anything; return the next step."""
    if not state.exists():
        return 0
    saved = torch.load(state, weights_only=True)
    for name, part in parts.items():
        part.load_state_dict(saved[name])
    return saved["step"]
