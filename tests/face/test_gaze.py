"""The gaze of faces, by sign and by row."""

import torch

from guided_face_edit.editor_core.face.eyes import (
    find_eyes_in_labels,
)
from guided_face_edit.editor_core.face.gaze import (
    EyeGazeEstimator,
    estimate_gaze,
)
from guided_face_edit.editor_core.models.eyenet import EyeNetOutput
from guided_face_edit.tests.support.labels import face_labels
from guided_face_edit.tests.support.tiny import tiny_estimator


def test_gaze_is_the_mean_of_both_eyes_and_points_right():
    def network(eyes):
        gaze = torch.tensor([[0.1, 0.2], [0.3, 0.6]])
        return EyeNetOutput(eyes, eyes, gaze)

    boxes = find_eyes_in_labels(face_labels())
    gaze = estimate_gaze(EyeGazeEstimator(network), torch.zeros(1, 3, 64, 64), boxes)
    torch.testing.assert_close((gaze.pitch, gaze.yaw), (torch.tensor([0.2]), torch.tensor([-0.4])))


def test_gaze_rows_are_independent(generator):
    image = torch.rand(2, 3, 64, 64, generator=generator, dtype=torch.float64) * 2 - 1
    labels = face_labels().repeat(2, 1, 1)
    both = estimate_gaze(tiny_estimator(), image, find_eyes_in_labels(labels))
    alone = estimate_gaze(tiny_estimator(), image[1:], find_eyes_in_labels(labels[1:]))
    torch.testing.assert_close(both.yaw[1:], alone.yaw)
