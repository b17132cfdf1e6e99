"""The order of faces, and the overlap of boxes."""

import torch

from guided_face_edit.editor_core.face.records import box_iou, make_faces
from guided_face_edit.tests.support.groups import group_photo


def test_faces_come_by_frame_and_from_left_to_right():
    faces = group_photo(frames=3).faces
    assert faces.frame.tolist() == [0] * 5 + [1] * 5 + [2] * 5
    assert (faces.centre[:, 0].view(3, 5).diff(dim=1) > 0).all()
    boxes = torch.tensor([[20.0, 0, 30, 10], [0.0, 0, 10, 10]])
    points = torch.zeros(2, 5, 2)
    assert make_faces([0, 0], boxes, points, (50, 50), 1).box[0].tolist() == [0, 0, 10, 10]
    assert box_iou(boxes, boxes).tolist() == [[1, 0], [0, 1]]
