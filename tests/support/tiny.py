"""Tiny real networks with random weights, in float64 and in evaluation mode."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import TypeVar

import torch
from torch import nn

from ...editor_core.diffusion.process import DiffusionModel, GaussianDiffusion
from ...editor_core.face.gaze import EyeGazeEstimator, FaceGazeEstimator
from ...editor_core.face.identity import IdentityEncoder
from ...editor_core.face.landmarks import FaceLandmarker
from ...editor_core.face.parsing import FaceParser
from ...editor_core.loading.models import FaceModels
from ...editor_core.models.bisenet import BiSeNet, BiSeNetConfig
from ...editor_core.models.eyenet import EyeNet, EyeNetConfig
from ...editor_core.models.iresnet import IResNet, IResNetConfig
from ...editor_core.models.l2cs import L2CS, L2CSConfig
from ...editor_core.models.lpips import Lpips, backbone_layers
from ...editor_core.models.unet import UNet, UNetConfig
from ...editor_core.models.unet2d import UNet2DConfig
from .mesh import WarpedMesh

Network = TypeVar("Network", bound=nn.Module)

TINY_UNET = UNetConfig(32, (1, 2), 1, (2,), head_channels=16)
EVEN_UNET = replace(TINY_UNET, channel_mult=(1, 1))  # both levels of one width
FLAT_UNET = UNetConfig(32, (1.0,), 1, (), head_channels=16)  # one level
QUICK_UNET = UNetConfig(32, (1, 1, 1), 0, (), head_channels=16)  # works on few pixels
TINY_UNET2D = UNet2DConfig((32, 64), 1, (1,))
UNUSUAL_UNET2D = replace(  # every option away from its default
    TINY_UNET2D,
    attention_head_dim=16,
    norm_num_groups=8,
    norm_eps=1e-5,
    downsample_padding=1,
    flip_sin_to_cos=True,
    freq_shift=0,
    center_input_sample=True,
)
TINY_PARSER = BiSeNetConfig(width=8)
TINY_ENCODER = IResNetConfig((1, 1, 1, 1), (16, 16, 32, 32), embedding=24, input_size=32)
TINY_EYENET = EyeNetConfig(nstack=1, nfeatures=4, nlandmarks=2, stem=4)
TINY_L2CS = L2CSConfig(layers=(1, 1, 1, 1), width=4)


def seeded(make: Callable[[], Network], seed: int = 0) -> Network:
    """A network whose random weights depend on `seed` alone."""
    with torch.inference_mode(False), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return make().double().eval().requires_grad_(False)


def fill_zeros(network: Network, divisor: float) -> Network:
    """Give values to parameters that a fresh network has at zero, so that all of it matters."""
    for parameter in network.parameters():
        if not parameter.any():
            values = torch.arange(parameter.numel(), dtype=parameter.dtype).sin() / divisor
            parameter.copy_(values.view_as(parameter))
    return network


@cache
def tiny_diffusion(identity_channels: int | None = 24, divisor: float = 50) -> DiffusionModel:
    """The quickest U-Net for 32 x 32 pixels, `fill_zeros` by `divisor`."""
    config = replace(QUICK_UNET, identity_channels=identity_channels)
    network = fill_zeros(seeded(lambda: UNet(config)), divisor)
    return DiffusionModel(network, GaussianDiffusion.linear(1000), 32)


@cache
def tiny_parser() -> FaceParser:
    return FaceParser(seeded(lambda: BiSeNet(TINY_PARSER)), size=64)


@cache
def tiny_encoder() -> IdentityEncoder:
    return IdentityEncoder(seeded(lambda: IResNet(TINY_ENCODER)), size=32)


@cache
def tiny_landmarker() -> FaceLandmarker:
    return FaceLandmarker(seeded(WarpedMesh), size=36)


@cache
def tiny_estimator() -> EyeGazeEstimator:
    return EyeGazeEstimator(seeded(lambda: EyeNet(TINY_EYENET)))


@cache
def tiny_face_estimator() -> FaceGazeEstimator:
    return FaceGazeEstimator(seeded(lambda: L2CS(TINY_L2CS)), size=64)


@cache
def tiny_lpips() -> Lpips:
    return seeded(
        lambda: Lpips("squeeze", backbone_layers("squeeze").state_dict(prefix="features."))
    )


@cache
def tiny_models(identity_channels: int | None = 24) -> FaceModels:
    """A model of every kind; the U-Net takes embeddings of `identity_channels`, or none."""
    diffusion = tiny_diffusion(identity_channels)
    return FaceModels(diffusion, tiny_encoder(), tiny_parser(), tiny_estimator(), tiny_lpips())
