"""Eyes and gaze drawn on pictures."""

import torch

from guided_face_edit.editor_core.face.eyes import (
    find_eyes_in_labels,
)
from guided_face_edit.editor_core.face.finding import faces_in_text
from guided_face_edit.editor_core.face.gaze import (
    Gaze,
)
from guided_face_edit.editor_core.face.painting import paint_faces, paint_gaze
from guided_face_edit.tests.support.labels import face_labels


def test_arrows_point_where_the_eyes_look():
    labels = face_labels()
    image, boxes = torch.zeros(1, *labels.shape[1:], 3), find_eyes_in_labels(labels)
    zero, some = torch.zeros(1), torch.full((1,), 0.5)
    straight, right, up = (
        paint_gaze(image, boxes, gaze)[0].sum(2).nonzero().float().mean(0)
        for gaze in (Gaze(zero, zero), Gaze(zero, some), Gaze(some, zero))
    )
    assert right[1] > straight[1] + 1 and up[0] < straight[0] - 1


def test_faces_are_drawn_with_their_boxes_and_where_they_look():
    photo = torch.zeros(1, 100, 160, 4)
    faces = faces_in_text("20,20,60,70\n90,20,130,70", (100, 160), 1)
    gaze = torch.tensor([[0.0, 0.8], [torch.nan, torch.nan]])
    drawn = paint_faces(photo, faces, gaze)[0]
    assert drawn.shape == (100, 160, 3)
    green, red = drawn[..., 1] > drawn[..., 0], drawn[..., 0] > drawn[..., 1]
    assert green[20, 20:61].all() and green[70, 90:131].all()
    x = red.nonzero()[:, 1]
    assert len(x) and x.max() > faces.points[0, 1, 0] + 10  # beyond the right eye of the first
    assert x.max() < faces.points[1, 0, 0]  # the second's gaze is not known
