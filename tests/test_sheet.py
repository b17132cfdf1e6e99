"""Sheets of pictures."""

import pytest
import torch

from guided_face_edit.editor_core.sheet import contact_sheet, contact_sheets


def test_a_panel_keeps_its_proportions_and_its_pixels():
    picture = torch.zeros(20, 40, 3)
    picture[:, :, 1] = 1
    sheet = contact_sheet([("green", picture)], side=50)
    green = (sheet == torch.tensor([0.0, 1, 0])).all(2)
    assert (green.sum(0).max(), green.sum(1).max()) == (50, 100)


def test_every_picture_of_a_batch_gets_its_sheet():
    batch = torch.stack([torch.zeros(8, 8, 3), torch.ones(8, 8, 3)])
    sheets = contact_sheets([("one", torch.full((1, 8, 8, 3), 0.5)), ("two", batch)], side=32)
    alone = contact_sheet([("one", torch.full((8, 8, 3), 0.5)), ("two", batch[1])], side=32)
    assert torch.equal(sheets[1], alone) and not torch.equal(sheets[0], sheets[1])


@pytest.mark.parametrize(
    ("counts", "message"), [((2, 3), "2 of a, 3 of b"), ((), "got pictures none")]
)
def test_batches_that_do_not_fit_are_refused(counts, message):
    panels = [(name, torch.zeros(n, 8, 8, 3)) for name, n in zip("ab", counts, strict=False)]
    with pytest.raises(ValueError, match=message):
        contact_sheets(panels)
