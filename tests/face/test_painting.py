"""Eyes and gaze drawn on pictures."""

import torch

from guided_face_edit.editor_core.face.eyes import (
    find_eyes_in_labels,
)
from guided_face_edit.editor_core.face.gaze import (
    Gaze,
)
from guided_face_edit.editor_core.face.painting import paint_gaze
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
