"""The networks that measure edits: three that guidance uses too, and a judge that it never uses."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

from torch import Tensor, nn

from ...editor_core.checkpoints.reading import read_checkpoint
from ...editor_core.demo.models import demo_file
from ...editor_core.face.gaze import GazeEstimator
from ...editor_core.face.identity import IdentityEncoder
from ...editor_core.face.parsing import FaceParser
from ...editor_core.loading.models import load_gaze, load_lpips, load_parser


@dataclass(frozen=True)
class MetricNetworks:
    """What edits are measured with."""

    parser: FaceParser
    gaze: GazeEstimator
    lpips: Callable[[Tensor, Tensor], Tensor]  # two (B,3,H,W) -> (B,)
    judge: IdentityEncoder


def load_metric_networks() -> MetricNetworks:
    parser, gaze, lpips = (demo_file(kind) for kind in ("parser", "gaze", "lpips"))
    return MetricNetworks(load_parser(parser), load_gaze(gaze), load_lpips(lpips), load_judge())


@dataclass(frozen=True)
class JudgeConfig:
    """Widths of the levels, each of which halves the picture; the embedding's; pixels a side."""

    widths: tuple[int, ...] = (32, 64, 96, 128)
    embedding: int = 128
    input_size: int = 64


class Judge(nn.Module):
    """An identity encoder unlike the editor's own on purpose.

    Plain 3x3 convolutions: no residuals, no squeeze and excitation, no mask.
    """

    def __init__(self, config: JudgeConfig):
        super().__init__()
        self.config = config
        self.levels = nn.Sequential(*(judge_level(a, b) for a, b in pairwise((3, *config.widths))))
        features = config.widths[-1] * (config.input_size >> len(config.widths)) ** 2
        self.embed = nn.Linear(features, config.embedding, bias=False)
        self.centre = nn.BatchNorm1d(config.embedding)  # else all faces may end up alike

    def forward(self, x: Tensor) -> Tensor:  # (B,3,S,S) normalised -> (B,E)
        """Embed pictures, not to unit length."""
        return self.centre(self.embed(self.levels(x).flatten(1)))


def judge_level(channels: int, width: int) -> nn.Sequential:
    """A strided convolution and one that keeps the size."""
    return nn.Sequential(
        nn.Conv2d(channels, width, 3, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(width),
        nn.LeakyReLU(0.1),
        nn.Conv2d(width, width, 3, padding=1, bias=False),
        nn.BatchNorm2d(width),
        nn.LeakyReLU(0.1),
    )


def load_judge() -> IdentityEncoder:
    checkpoint = read_checkpoint(demo_file("judge"))
    judge = Judge(JudgeConfig(**checkpoint.config))
    judge.load_state_dict(checkpoint.tensors)
    judge = judge.eval().requires_grad_(False)
    return IdentityEncoder(judge, size=judge.config.input_size, template="demo")
