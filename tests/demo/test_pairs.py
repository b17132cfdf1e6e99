"""Drawn pairs."""

import torch

from guided_face_edit.editor_core.demo.pairs import draw_pairs
from guided_face_edit.editor_core.demo.portraits import both_eyes_visible

SIZE = 64


def test_pairs_repeat_and_pair_k_is_the_first_pair_of_a_later_seed():
    pairs, again, later = draw_pairs(3, 7, SIZE), draw_pairs(3, 7, SIZE), draw_pairs(1, 9, SIZE)
    assert torch.equal(pairs.truth.image, again.truth.image)
    assert torch.equal(pairs.source.image[2:], later.source.image)
    assert both_eyes_visible(pairs.target.labels).all()
