"""Every layout is named, whether or not the editor can use it."""

import json
from dataclasses import replace

import pytest
import torch

from guided_face_edit.editor_core.checkpoints.errors import UnsupportedCheckpoint
from guided_face_edit.editor_core.files import sha256
from guided_face_edit.editor_core.loading.families import UNSUPPORTED
from guided_face_edit.editor_core.loading.inspection import inspect
from guided_face_edit.editor_core.models.bisenet import BiSeNet
from guided_face_edit.editor_core.models.eyenet import EyeNet
from guided_face_edit.editor_core.models.iresnet import IResNet
from guided_face_edit.editor_core.models.lpips import backbone_layers
from guided_face_edit.editor_core.models.unet import UNet
from guided_face_edit.editor_core.models.unet2d import UNet2D
from guided_face_edit.tests.support.tiny import (
    TINY_ENCODER,
    TINY_EYENET,
    TINY_PARSER,
    TINY_UNET,
    TINY_UNET2D,
)


def _backbone(net):
    """A network of torchvision, all of zeros."""
    with torch.device("meta"):
        tensors = backbone_layers(net).state_dict(prefix="features.")
    return {name: torch.zeros(tensor.shape) for name, tensor in tensors.items()}


LAYOUTS = {  # as published, small: the family, the kind and the tensors
    "ADM, DiffFace": (
        "ADM U-Net",
        "diffusion",
        lambda: UNet(replace(TINY_UNET, identity_channels=8)).state_dict(),
    ),
    "ADM, unconditional": ("ADM U-Net", "diffusion", lambda: UNet(TINY_UNET).state_dict()),
    "diffusers": ("diffusers U-Net", "diffusion", lambda: UNet2D(TINY_UNET2D).state_dict()),
    "BiSeNet": ("BiSeNet", "parser", lambda: BiSeNet(TINY_PARSER).state_dict()),
    "ArcFace": ("ArcFace ResNet", "identity", lambda: IResNet(TINY_ENCODER).state_dict()),
    "EyeNet": ("EyeNet", "gaze", lambda: EyeNet(TINY_EYENET).state_dict()),
    "SqueezeNet": ("SqueezeNet 1.1", "lpips", lambda: _backbone("squeeze")),
    "AlexNet": ("AlexNet", "lpips", lambda: _backbone("alex")),
    "VGG-16": ("VGG-16", "lpips", lambda: _backbone("vgg")),
}


@pytest.mark.parametrize(("family", "kind", "tensors"), LAYOUTS.values(), ids=LAYOUTS.keys())
def test_every_layout_is_named(tmp_path, family, kind, tensors):
    torch.save(tensors(), tmp_path / "model.pt")
    report = inspect(tmp_path / "model.pt")
    assert (report.family, report.kind, report.dtype) == (family, kind, "float32")
    assert report.sha256 == sha256(tmp_path / "model.pt") and report.licence == "unknown"
    assert report.parameters > 0 and json.dumps(report.as_json())


@pytest.mark.parametrize(("name", "what"), UNSUPPORTED.items(), ids=UNSUPPORTED.values())
def test_layouts_that_cannot_be_used_are_named_too(tmp_path, name, what):
    torch.save({name: torch.zeros(1)}, tmp_path / "model.pt")
    with pytest.raises(UnsupportedCheckpoint, match=rf"model\.pt: expected one of .*got {what}:"):
        inspect(tmp_path / "model.pt")
