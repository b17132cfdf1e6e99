"""Embeddings come back as they were, and nothing else passes for one."""

import pytest
import torch
from safetensors.torch import save_file

from guided_face_edit.editor_core.checkpoints.embeddings import load_embedding, save_embedding
from guided_face_edit.editor_core.checkpoints.errors import CheckpointError


def test_an_embedding_comes_back_as_it_was(tmp_path):
    identity = torch.nn.functional.normalize(torch.randn(2, 8), dim=1)
    save_embedding(tmp_path / "me.safetensors", identity)
    assert torch.equal(load_embedding(tmp_path / "me.safetensors"), identity)


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({"weight": torch.ones(2, 2)}, r"expected one tensor identity \(n,E\), got weight"),
        ({"identity": torch.ones(2, 8)}, "expected rows of unit length"),
        ({"identity": torch.full((1, 8), torch.nan)}, "expected rows of unit length"),
    ],
)
def test_what_is_no_embedding_is_refused(tmp_path, tensors, message):
    save_file(tensors, tmp_path / "x.safetensors")
    with pytest.raises(CheckpointError, match=message):
        load_embedding(tmp_path / "x.safetensors")
