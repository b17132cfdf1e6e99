"""The parser of BiSeNet's design."""

import torch

from guided_face_edit.editor_core.models.bisenet import BiSeNet, BiSeNetConfig


def test_parser_labels_at_the_pictures_size(generator):
    network = BiSeNet(BiSeNetConfig(num_classes=5, width=8)).eval()
    x = torch.randn(2, 3, 48, 80, generator=generator)
    heads = network(x)
    assert [tuple(head.shape) for head in heads] == [(2, 5, 48, 80)] * 3
    torch.testing.assert_close(network.logits(x), heads[0], rtol=0, atol=0)
