"""A small network of every family of identity, parser, gaze and landmark networks."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from ...editor_core.loading.models import load_gaze, load_identity, load_landmarks, load_parser
from ...editor_core.models.adaface import AdaFace, AdaFaceConfig
from ...editor_core.models.attention_mesh import AttentionMesh, AttentionMeshConfig
from ...editor_core.models.bisenet import BiSeNet, BiSeNetConfig
from ...editor_core.models.eyenet import EyeNet, EyeNetConfig
from ...editor_core.models.face_mesh import FaceMesh, FaceMeshConfig
from ...editor_core.models.facenet import FaceNet, FaceNetConfig
from ...editor_core.models.insightface import InsightFace, InsightFaceConfig
from ...editor_core.models.ir_se import IRSE, IRSEConfig
from ...editor_core.models.iresnet import IResNet, IResNetConfig
from ...editor_core.models.l2cs import L2CS, L2CSConfig
from ...editor_core.models.parsenet import ParseNet, ParseNetConfig

LOADERS = {
    "identity": load_identity,
    "parser": load_parser,
    "gaze": load_gaze,
    "landmarks": load_landmarks,
}


@dataclass(frozen=True)
class Case:
    """A small network of a family, with its file's config and the input that it expects."""

    family: str
    kind: str
    network: Callable[[Any], nn.Module]
    form: Any
    size: int | None  # of its input, in pixels
    config: dict[str, int] = field(default_factory=dict)
    published: Callable[[nn.Module], nn.Module] = lambda network: (
        network
    )  # with the names of its file


SMALL_ADAFACE = AdaFaceConfig((1, 2, 1, 1), (4, 8, 12, 16), 24, 48)
SMALL_PARSENET = ParseNetConfig(encoder=(4, 8), depth=1, decoder=(4,))
CASES = [
    Case(
        "ArcFace ResNet",
        "identity",
        IResNet,
        IResNetConfig((1, 1, 1, 1), (16, 16, 32, 32), 24, 48),
        48,
    ),
    Case(
        "insightface ResNet",
        "identity",
        InsightFace,
        InsightFaceConfig((1, 2, 1, 1), (4, 8, 12, 16), 24, 48),
        48,
    ),
    Case("IR-SE", "identity", IRSE, IRSEConfig((1, 2, 1, 1), (16, 32, 48, 64), 24, 48), 48),
    Case("IR-SE", "identity", IRSE, IRSEConfig((1, 2, 1, 1), (4, 8, 12, 16), 8, 32, False), 32),
    Case(
        "CVLface IR",
        "identity",
        AdaFace,
        SMALL_ADAFACE,
        48,
        published=lambda network: nn.ModuleDict({"net": network}),
    ),
    Case(
        "AdaFace IR",
        "identity",
        AdaFace,
        SMALL_ADAFACE,
        48,
        published=lambda network: nn.ModuleDict({"model": network, "head": nn.Linear(24, 5)}),
    ),
    Case("AdaFace IR", "identity", AdaFace, AdaFaceConfig((2, 1, 1, 1), (4, 8, 12, 16), 8, 32), 32),
    Case("FaceNet", "identity", FaceNet, FaceNetConfig((1, 1, 1), 2, 24, num_classes=5), 160),
    Case("FaceNet", "identity", FaceNet, FaceNetConfig((1, 1, 1), 2, 24), 96, {"size": 96}),
    Case("BiSeNet", "parser", BiSeNet, BiSeNetConfig(width=8), 512),
    Case("ParseNet", "parser", ParseNet, SMALL_PARSENET, 512),
    Case("ParseNet", "parser", ParseNet, SMALL_PARSENET, 64, {"size": 64}),
    Case("EyeNet", "gaze", EyeNet, EyeNetConfig(1, 4, 2, 4), None),
    Case("L2CS-Net", "gaze", L2CS, L2CSConfig((1, 1, 1, 1), 4), 448),
    Case("FaceMesh v2", "landmarks", FaceMesh, FaceMeshConfig((2, 3, 4, 4, 5, 6), 3), 192),
    Case("FaceMesh v2", "landmarks", FaceMesh, FaceMeshConfig((2, 2, 2, 2, 2, 2), 2, False), 192),
    Case(
        "Attention Mesh",
        "landmarks",
        AttentionMesh,
        AttentionMeshConfig((2, 3, 4, 4, 5, 6), 3, (4, 5)),
        192,
    ),
]


def randomised(network: nn.Module) -> nn.Module:
    """The network in evaluation mode, with statistics and slopes that matter."""
    generator = torch.Generator().manual_seed(0)
    for name, tensor in network.state_dict().items():
        if tensor.is_floating_point() and tensor.ndim == 1:
            tensor.uniform_(0.2, 1.2, generator=generator)
        elif tensor.is_floating_point():
            tensor.normal_(generator=generator).mul_(tensor[0].numel() ** -0.5)
        assert tensor.isfinite().all(), name
    return network.eval().requires_grad_(False)
