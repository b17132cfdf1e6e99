"""One identity of several."""

import pytest
import torch

from guided_face_edit.tests.support.running import embed, run


def test_people_are_mixed_by_their_weights(drawn):
    photo, _, reference = drawn
    one, other = embed(reference[:1]), embed(photo[:, :64, :64])
    (half,) = run("MixIdentities", embedding_1=one, embedding_2=other)
    torch.testing.assert_close((half * one).sum(), (half * other).sum())
    (first,) = run("MixIdentities", embedding_1=one, embedding_2=other, weight_2=0.0)
    torch.testing.assert_close(first, one)
    (three,) = run(
        "MixIdentities", embedding_1=one, embedding_2=other, embedding_4=one, weight_2=2.0
    )
    torch.testing.assert_close(three, half)


def test_weights_of_nothing_are_refused(drawn):
    one = embed(drawn[2][:1])
    with pytest.raises(ValueError, match="weights are 0.0, 0.0 for 2 identities"):
        run("MixIdentities", embedding_1=one, embedding_2=one, weight_1=0.0, weight_2=0.0)
