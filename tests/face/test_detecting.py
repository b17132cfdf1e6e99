"""The detector's file; tests/test_real_photos.py detects."""

import pytest
import torch

from guided_face_edit.editor_core.face.detecting import FaceDetector


def test_a_detector_that_is_no_file_or_no_network_is_named(tmp_path):
    photo = torch.zeros(1, 32, 32, 3)
    with pytest.raises(FileNotFoundError, match="no detector .*yunet.onnx: put face_detection_yu"):
        FaceDetector(tmp_path / "yunet.onnx").find(photo)
