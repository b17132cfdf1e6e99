"""The same person in all frames, smooth crops, and flicker."""

from dataclasses import replace

import pytest
import torch

from guided_face_edit.editor_core.face.aligning import align_faces, quads
from guided_face_edit.editor_core.face.records import make_faces
from guided_face_edit.editor_core.face.templates import template_named
from guided_face_edit.editor_core.face.tracking import flicker, smooth_faces, track_faces
from guided_face_edit.tests.support.groups import aligned, boxed, group_photo

SIZE = (100, 200)


def test_people_are_tracked_through_a_clip():
    photos = group_photo(people=3, frames=5)
    assert track_faces(photos.faces).person.tolist() == [0, 1, 2] * 5


def test_likeness_tracks_people_who_cross_and_come_back():
    boxes = [[0, 0, 20, 20], [60, 0, 80, 20], [0, 0, 20, 20], [60, 0, 80, 20], [30, 50, 50, 70]]
    faces = boxed(boxes, [0, 0, 1, 1, 4])
    one, two = torch.eye(2)
    crossed = replace(faces, embedding=torch.stack([one, two, two, one, two]))
    assert track_faces(faces).person.tolist() == [0, 1, 0, 1, 2]
    assert track_faces(crossed).person.tolist() == [0, 1, 1, 0, 1]


def _clip(jitter):
    """A face that moves evenly to the right, but for what shakes it."""
    frames = torch.arange(9.0)
    x = 20 + 8 * frames + torch.tensor(jitter)
    boxes = torch.stack([x, x * 0 + 20, x + 40, x * 0 + 60], 1)
    faces = make_faces(range(9), boxes, torch.zeros(9, 5, 2), SIZE, 9)
    return align_faces(track_faces(faces), template_named("whole box"), 40)


SHAKEN = [0.0, 3, -2, 3, -3, 2, -3, 3, 0]


def test_smoothing_takes_the_shaking_and_leaves_the_way():
    shaken, steady = _clip(SHAKEN), _clip([0.0] * 9)

    def left(faces):
        return quads(faces)[:, 0, 0]

    smooth = smooth_faces(shaken, 1.5)
    before, after = ((left(f) - left(steady))[2:-2].abs().max() for f in (shaken, smooth))
    assert after < 0.6 * before
    assert torch.equal(smooth_faces(shaken, 0).affine, shaken.affine)
    torch.testing.assert_close(left(smooth_faces(steady, 1.0))[4:5], left(steady)[4:5])


def test_smoothing_mixes_no_two_people():
    faces = aligned(group_photo(people=2, frames=3))
    tracked = track_faces(faces)
    both = smooth_faces(tracked, 2.0)
    rows = (tracked.person == 1).nonzero().flatten()
    torch.testing.assert_close(smooth_faces(tracked.rows(rows), 2.0).affine, both.affine[rows])
    with pytest.raises(ValueError, match="only tracked faces can be smoothed over time: track"):
        smooth_faces(faces, 1.0)


def test_flicker_is_the_change_over_that_of_the_photo():
    faces = track_faces(boxed([[0, 0, 20, 20]] * 3 + [[60, 0, 80, 20]], [0, 1, 2, 0]))
    before = torch.tensor([0.0, 0.1, 0.2, 0.0])[[0, 3, 1, 2]].view(4, 1, 1, 1).expand(-1, 3, 4, 4)
    rows = (faces.person == 0).nonzero().flatten()
    edited = before.clone()
    edited[rows] = torch.tensor([0.0, 0.3, 0.0]).view(3, 1, 1, 1)
    assert flicker(faces, before, before).tolist() == pytest.approx([1.0])
    assert flicker(faces, before, edited).tolist() == pytest.approx([3.0])
    assert len(flicker(boxed([[0, 0, 20, 20]]), before[:1], before[:1])) == 0
