"""A labelled face that several tests share."""

import torch

from ...editor_core.face.parsing import FacePart


def face_labels(mirrored=False):
    """A 64 x 64 face with a 12 x 4 ellipse for each eye, around x 20.5 and 44.5, y 30.5."""
    y, x = torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing="ij")
    labels = torch.full((1, 64, 64), int(FacePart.SKIN))
    parts = (FacePart.R_EYE, FacePart.L_EYE) if mirrored else (FacePart.L_EYE, FacePart.R_EYE)
    for part, middle in zip(parts, (20.5, 44.5), strict=True):
        labels[0][((x - middle) / 6) ** 2 + ((y - 30.5) / 2) ** 2 <= 1] = part
    return labels
