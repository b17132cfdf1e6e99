"""A small network of every family of identity, parser, gaze and landmark networks."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn

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
from ...editor_core.models.l2cs import L2CS, L2CSConfig, MobileGaze
from ...editor_core.models.mobilefacenet import MobileFaceNet, MobileFaceNetConfig
from ...editor_core.models.parsenet import ParseNet, ParseNetConfig
from ...editor_core.models.segformer import SegFormer, SegFormerConfig
from ...editor_core.models.sface import SFace, SFaceConfig

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


YAKHYO_NAMES = {
    r"\.bn\.": ".norm.",
    r"\.conv\.(conv|norm)\.": r".conv_block.\1.",
    r"\.convblk\.": ".conv_block.",
    r"\.conv_out\.": ".conv.",
    r"\.conv_atten\.": ".attention.0.",
    r"\.bn_atten\.": ".attention.1.",
    r"^cp\.resnet\.": "fpn.backbone.",
    r"^cp\.": "fpn.",
}
SMALL_SEGFORMER = SegFormerConfig(
    widths=(8, 16, 16, 24), depths=(1, 2, 1, 1), reductions=(4, 2, 2, 1), decoder_width=8
)
SMALL_ADAFACE = AdaFaceConfig((1, 2, 1, 1), (4, 8, 12, 16), 24, 48)
SMALL_RESNET = InsightFaceConfig((1, 2, 1, 1), (4, 8, 12, 16), 24, 48)
SMALL_MOBILE = MobileFaceNetConfig(
    8, (8, 12, 16, 20), (4, 6, 10, 14, 18, 22, 26), (1, 2, 1, 2), 24, 48
)
SMALL_SFACE = SFaceConfig((4, 6, 8, 8, 12, 16, 20), 24, 48)
SMALL_PARSENET = ParseNetConfig(encoder=(4, 8), depth=1, decoder=(4,))
CASES = [
    Case(
        "ArcFace ResNet",
        "identity",
        IResNet,
        IResNetConfig((1, 1, 1, 1), (16, 16, 32, 32), 24, 48),
        48,
    ),
    Case("insightface ResNet", "identity", InsightFace, SMALL_RESNET, 48),
    Case("insightface ResNet", "identity", InsightFace, replace(SMALL_RESNET, folded=True), 48),
    Case("MobileFaceNet", "identity", MobileFaceNet, SMALL_MOBILE, 48),
    Case("MobileFaceNet", "identity", MobileFaceNet, replace(SMALL_MOBILE, folded=True), 48),
    Case("SFace", "identity", SFace, SMALL_SFACE, 48),
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
    Case(
        "BiSeNet of yakhyo",
        "parser",
        BiSeNet,
        BiSeNetConfig(width=8, layers=(1, 2, 1, 1)),
        512,
        published=lambda network: of_yakhyo(network),
    ),
    Case("ParseNet", "parser", ParseNet, SMALL_PARSENET, 512),
    Case("SegFormer", "parser", SegFormer, SMALL_SEGFORMER, 64, {"size": 64}),
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
    Case("L2CS-Net", "gaze", L2CS, L2CSConfig((1, 2, 1, 1), 4, bottleneck=False), 448),
    Case("MobileGaze", "gaze", MobileGaze, L2CSConfig((1, 1, 1, 1), 4), 448),
    Case("MobileGaze", "gaze", MobileGaze, L2CSConfig((2, 1, 1, 1), 8, 28, False), 448),
]


def of_yakhyo(network: nn.Module) -> nn.Module:
    """A BiSeNet's tensors under the names of yakhyo's files, with ImageNet's classifier, unused."""
    tensors = network.state_dict()
    width = len(tensors["cp.resnet.layer4.0.bn1.weight"])
    tensors["cp.resnet.fc.weight"] = tensors["cp.resnet.conv1.weight"].new_zeros(1000, width)
    tensors["cp.resnet.fc.bias"] = tensors["cp.resnet.conv1.weight"].new_zeros(1000)
    for pattern, name in YAKHYO_NAMES.items():
        tensors = {re.sub(pattern, name, old): tensor for old, tensor in tensors.items()}
    return as_module(tensors)


def as_module(tensors: Mapping[str, Tensor]) -> nn.Module:
    """A module without a function, whose state dict has those tensors."""
    root = nn.Module()
    for name, tensor in tensors.items():
        *parts, last = name.split(".")
        place = root
        for part in parts:
            if not hasattr(place, part):
                place.add_module(part, nn.Module())
            place = place.get_submodule(part)
        place.register_buffer(last, tensor)
    return root


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
