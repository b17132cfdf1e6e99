"""The gaze network of one eye."""

import torch

from guided_face_edit.editor_core.models.eyenet import EyeNet, EyeNetConfig, soft_argmax


def test_every_eye_has_landmarks_and_a_gaze(generator):
    network = EyeNet(EyeNetConfig(nstack=2, nfeatures=4, nlandmarks=3, stem=4)).eval()
    output = network(torch.rand(2, 96, 160, generator=generator))
    assert output.heatmaps.shape == (2, 2, 3, 48, 80)
    assert output.landmarks.shape == (2, 3, 2)
    assert output.gaze.shape == (2, 2)


def test_a_landmark_is_where_its_heatmap_peaks():
    heatmaps = torch.zeros(1, 1, 48, 80)
    heatmaps[0, 0, 7, 31] = 1
    torch.testing.assert_close(soft_argmax(heatmaps), torch.tensor([[[7.0, 31.0]]]))
