"""What DiffFace's networks are shown, where that differs from what the editor shows them."""

from __future__ import annotations

import copy
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor, nn

from ..face.gaze import EyeGazeEstimator
from ..images import imagenet_normalise, resize, resize_nearest
from ..loading.models import FaceModels
from ..models.bisenet import BiSeNet
from ..models.eyenet import EyeNet
from ..models.iresnet import IResNet

NETWORKS = {"identity": IResNet, "parser": BiSeNet, "gaze": EyeNet}


def with_reference_inputs(models: FaceModels) -> FaceModels:
    """Parser input normalised twice, resizes without antialias, gaze by each crop's statistics."""
    for kind, network in NETWORKS.items():
        model = getattr(models, kind)
        if model and not isinstance(model.network, network):
            raise ValueError(
                f"the {kind} model is {type(model.network).__name__}, the exact settings are those "
                f"of {network.__name__}: choose a file of DiffFace's, or another preset"
            )
    plain = partial(resize, antialias=False)
    return replace(
        models,
        parser=replace(models.parser, normalise=normalise_twice, resize=plain),
        identity=replace(models.identity, resize=resize_nearest),
        gaze=models.gaze and EyeGazeEstimator(CropStatistics(models.gaze.network)),
    )


def normalise_twice(x: Tensor) -> Tensor:  # (B,3,H,W) in [-1,1]
    """ImageNet's normalisation, then (x - 0.5) / 0.5 on top."""
    return (imagenet_normalise(x) - 0.5) / 0.5


class CropStatistics(nn.Module):
    """EyeNet as if in training: batch normalisation takes the statistics of each crop alone."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = copy.deepcopy(network)
        for module in self.network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean = module.running_var = None  # then eval uses the batch's

    def forward(self, eyes: Tensor) -> tuple[Tensor, ...]:  # (B,96,160)
        outputs = [self.network(eye[None]) for eye in eyes]
        return type(outputs[0])(*(torch.cat(parts) for parts in zip(*outputs, strict=True)))
