"""Files that the tests of several commands share."""

import pytest
import torch
from safetensors.torch import save_file

from guided_face_edit.editor_core.models.bisenet import BiSeNet
from guided_face_edit.editor_core.models.eyenet import EyeNet
from guided_face_edit.tests.support.tiny import TINY_EYENET, TINY_PARSER


@pytest.fixture
def pickles(tmp_path):
    """A folder with two good pickles, one that is none, and a safetensors file."""
    folder = tmp_path / "pickles"
    (folder / "gaze").mkdir(parents=True)
    torch.save(EyeNet(TINY_EYENET).state_dict(), folder / "gaze" / "eyes.pt")
    torch.save(BiSeNet(TINY_PARSER).state_dict(), folder / "parser.pth")
    (folder / "broken.ckpt").write_bytes(b"<html>" * 40)
    save_file(EyeNet(TINY_EYENET).state_dict(), folder / "done.safetensors")
    return folder
