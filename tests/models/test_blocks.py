"""What the networks share."""

import torch

from guided_face_edit.editor_core.models.blocks import embed_time


def test_time_embedding_is_cosines_then_sines():
    embedding = embed_time(torch.tensor([0.0, 2.5]), 4)
    expected = [torch.tensor([2.5, 0.025]).cos(), torch.tensor([2.5, 0.025]).sin()]
    torch.testing.assert_close(embedding[0], torch.tensor([1.0, 1.0, 0.0, 0.0]))
    torch.testing.assert_close(embedding[1], torch.cat(expected))
