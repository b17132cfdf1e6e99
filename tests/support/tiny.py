"""Small real networks with random weights, in float64 and in evaluation mode."""

from collections.abc import Callable
from functools import cache
from typing import TypeVar

import torch
from torch import nn

from ...editor_core.face.gaze import EyeGazeEstimator, FaceGazeEstimator
from ...editor_core.face.identity import IdentityEncoder
from ...editor_core.face.parsing import FaceParser
from ...editor_core.models.bisenet import BiSeNet, BiSeNetConfig
from ...editor_core.models.eyenet import EyeNet, EyeNetConfig
from ...editor_core.models.iresnet import IResNet, IResNetConfig
from ...editor_core.models.l2cs import L2CS, L2CSConfig
from ...editor_core.models.lpips import Lpips

Network = TypeVar("Network", bound=nn.Module)


def seeded(make: Callable[[], Network], seed: int = 0) -> Network:
    """A network whose random weights depend on `seed` alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return make().double().eval().requires_grad_(False)


@cache
def tiny_parser() -> FaceParser:
    return FaceParser(seeded(lambda: BiSeNet(BiSeNetConfig(width=8))), size=64)


@cache
def tiny_encoder() -> IdentityEncoder:
    config = IResNetConfig((1, 1, 1, 1), (16, 16, 32, 32), embedding=24, input_size=32)
    return IdentityEncoder(seeded(lambda: IResNet(config)), size=32)


@cache
def tiny_estimator() -> EyeGazeEstimator:
    config = EyeNetConfig(nstack=1, nfeatures=4, nlandmarks=2, stem=4)
    return EyeGazeEstimator(seeded(lambda: EyeNet(config)))


@cache
def tiny_face_estimator() -> FaceGazeEstimator:
    config = L2CSConfig(layers=(1, 1, 1, 1), width=4)
    return FaceGazeEstimator(seeded(lambda: L2CS(config)), size=64)


@cache
def tiny_lpips() -> Lpips:
    from torchvision.models import squeezenet1_1

    return seeded(lambda: Lpips("squeeze", squeezenet1_1(weights=None).state_dict()))
