"""What holds for every network: its configuration is read from its tensors, its names are known."""

import json

import pytest
import torch

from guided_face_edit.editor_core.models.adaface import AdaFace, AdaFaceConfig
from guided_face_edit.editor_core.models.attention_mesh import AttentionMesh, AttentionMeshConfig
from guided_face_edit.editor_core.models.bisenet import BiSeNet, BiSeNetConfig
from guided_face_edit.editor_core.models.eyenet import EyeNet, EyeNetConfig
from guided_face_edit.editor_core.models.face_mesh import FaceMesh, FaceMeshConfig
from guided_face_edit.editor_core.models.facenet import FaceNet, FaceNetConfig
from guided_face_edit.editor_core.models.insightface import InsightFace, InsightFaceConfig
from guided_face_edit.editor_core.models.ir_se import IRSE, IRSEConfig
from guided_face_edit.editor_core.models.iresnet import IResNet, IResNetConfig
from guided_face_edit.editor_core.models.l2cs import L2CS, L2CSConfig, MobileGaze
from guided_face_edit.editor_core.models.mobilefacenet import MobileFaceNet, MobileFaceNetConfig
from guided_face_edit.editor_core.models.parsenet import ParseNet, ParseNetConfig
from guided_face_edit.editor_core.models.segformer import SegFormer, SegFormerConfig
from guided_face_edit.editor_core.models.sface import SFace, SFaceConfig

SMALL = [
    (BiSeNet, BiSeNetConfig(num_classes=5, width=8)),
    (BiSeNet, BiSeNetConfig(width=8, layers=(3, 1, 2, 1))),
    (IResNet, IResNetConfig((1, 2, 1, 1), (16, 16, 32, 48), 24, 48)),
    (IResNet, IResNetConfig((1, 1, 1, 1), (16, 16, 32, 32), 8, 32, use_se=False)),
    (EyeNet, EyeNetConfig(nstack=1, nfeatures=4, nlandmarks=3, stem=8)),
    (EyeNet, EyeNetConfig(nstack=2, nfeatures=6, nlandmarks=2, stem=4)),
    (InsightFace, InsightFaceConfig((1, 3, 2, 1), (4, 8, 12, 16), 24, 48)),
    (InsightFace, InsightFaceConfig((3, 1, 1, 2), (4, 8, 12, 16), 24, 48, folded=True)),
    (MobileFaceNet, MobileFaceNetConfig()),
    (MobileFaceNet, MobileFaceNetConfig(8, (8, 8, 16, 24), (4, 6, 10, 4, 8, 12, 6), (1, 3, 2, 1))),
    (
        MobileFaceNet,
        MobileFaceNetConfig(6, (8, 9, 7, 5), (2, 3, 4, 5, 6, 7, 8), (2, 1, 2, 1), 24, 48, True),
    ),
    (SFace, SFaceConfig()),
    (SFace, SFaceConfig((4, 6, 8, 8, 12, 12, 16, 20), 24, 48)),
    (IRSE, IRSEConfig((1, 3, 2, 1), (16, 32, 48, 64), 24, 48)),
    (IRSE, IRSEConfig((2, 1, 1, 2), (4, 8, 12, 16), 8, 32, use_se=False)),
    (AdaFace, AdaFaceConfig((1, 3, 2, 1), (4, 8, 12, 16), 24, 48)),
    (FaceNet, FaceNetConfig((1, 2, 3), width=2, embedding=24, num_classes=5)),
    (FaceNet, FaceNetConfig((1, 1, 1), width=4, embedding=8)),
    (ParseNet, ParseNetConfig(5, encoder=(4, 8, 12), depth=2, decoder=(10, 6))),
    (SegFormer, SegFormerConfig(5, (8, 16, 24, 32), (1, 2, 1, 1), (4, 2, 1, 1), 12)),
    (ParseNet, ParseNetConfig(19, encoder=(4,), depth=1, decoder=())),
    (L2CS, L2CSConfig((1, 2, 1, 3), width=4)),
    (L2CS, L2CSConfig((1, 1, 1, 1), width=8, bins=28)),
    (FaceMesh, FaceMeshConfig((2, 3, 4, 5, 6, 7), 8)),
    (FaceMesh, FaceMeshConfig((2, 2, 4, 4, 8, 8), 3, has_blendshapes=False)),
    (AttentionMesh, AttentionMeshConfig((2, 3, 4, 5, 6, 7), 8, (9, 10))),
    (L2CS, L2CSConfig((1, 1, 3, 1), width=8, bottleneck=False)),
    (MobileGaze, L2CSConfig((1, 1, 2, 1), width=8, bins=28)),
    (MobileGaze, L2CSConfig((2, 2, 2, 2), width=4, bottleneck=False)),
]
PUBLISHED = [
    ("FaceParser.pth", BiSeNet, BiSeNetConfig()),
    ("Arcface.tar:model.module", IResNet, IResNetConfig()),
    ("GazeEstimator.pt:model_state_dict", EyeNet, EyeNetConfig()),
]


@pytest.mark.parametrize(("network", "config"), SMALL)
def test_config_is_read_from_the_tensors(network, config):
    assert type(config).from_state_dict(network(config).state_dict()) == config


@pytest.mark.parametrize(("layout", "network", "config"), PUBLISHED)
def test_names_and_shapes_are_the_published_ones(layout, network, config, root):
    text = (root / "tests" / "golden" / "state_dict_layouts.json").read_text(encoding="utf-8")
    with torch.device("meta"):
        tensors = network(config).state_dict()
    assert {name: list(t.shape) for name, t in tensors.items()} == json.loads(text)[layout]
