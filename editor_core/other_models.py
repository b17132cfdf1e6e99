"""Guidance of a model that is not ours: the targets, faces and terms of a run, made into steering.

A host has a model's call from x_t to x_0 and what shows its x_0 as a picture. The terms look at the
whole picture, or at the crops of its faces.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import torch
from torch import Tensor

from .declare import check, setting, shared
from .face.aligning import crop_faces
from .face.errors import require_no_faults
from .face.records import Faces
from .guidance.batch import EditBatch
from .guidance.sight import Sight, require_seen, see_faces
from .guidance.steering import Steering
from .guidance.terms import GuidanceTerm, bind_terms
from .images import empty_masks, one_for_each, to_mask, to_signed
from .photos import crop_term, masks_in_crops, points_in_crops, template_of
from .settings import EditSettings


@dataclass(frozen=True)
class SteeringSettings:
    """How the terms move the predictions of a model that is not ours."""

    gradient: Literal["estimate", "network"] = setting(
        "estimate",
        "estimate: taken at the predicted picture, without a pass back through the model. network: "
        "through the model, which takes about three times as long and much more memory.",
        choices=("estimate", "network"),
    )
    strength: float = setting(
        0.1,
        "How far guidance moves a prediction, as a share of its own length; the terms' scales then "
        "weigh them against each other. 0: as far as the scales say, which fits one model alone.",
        low=0.0,
        high=1.0,
        step=0.01,
    )
    guide_every: int = shared(EditSettings, "guide_every")

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True, eq=False)
class GuidedTargets:
    """What a model that is not ours edits, and who it becomes.

    Raises:
        ValueError: On use, where the mask or the faces are not of the targets.
    """

    target: Tensor  # (n,H,W,3) in [0,1], as large as what the model draws
    mask: Tensor | None = None  # (n or 1,H,W) in [0,1], 1 where it is free, or of the faces' crops
    faces: Faces | None = None  # aligned, in the targets; None: each target is a face's crop
    embedding: Tensor | None = None  # (rows or 1,E) of the sources
    template: str = "ffhq"  # what targets without faces were cut to

    def steering(
        self,
        terms: Sequence[GuidanceTerm],
        sight: Sight,
        settings: SteeringSettings,
        *,
        count: int,
        seed: int,
        device: torch.device | str,
    ) -> Steering:
        """The steering of a run of `count` pictures, whose terms draw their views from `seed` on.

        A term has a row for every picture; with faces, for every picture of the first face, then
        of the second.

        Raises:
            ValueError: The run has another number of pictures than there are targets, or a term or
                the embedding is of others; in a step, where what is drawn has another size.
        """
        n = len(self.target)
        if n not in (1, count):
            raise ValueError(
                f"there are {n} targets for {count} latents: give one target, or one a latent"
            )
        each, (height, width) = count if n == 1 else 1, self.target.shape[1:3]
        sight = require_seen(sight, (height, width))
        if self.faces is not None:
            terms = [crop_term(term, self.faces) for term in terms]
            sight = _see_every_face(self.faces, sight, each)
        bound = bind_terms(terms, self._batch(each, seed, device))
        return Steering(bound, sight, settings.gradient == "network", settings.strength)

    def _batch(self, candidates: int, seed: int, device: torch.device | str) -> EditBatch:
        rows, embedding = len(self.shown), self.embedding
        if embedding is not None:
            embedding = one_for_each(embedding, "embeddings", rows, self.kind).to(device)
        return EditBatch(
            self.shown.to(device),
            self.area.to(device),
            embedding,
            [torch.Generator().manual_seed(seed + row) for row in range(rows * candidates)],
            candidates,
            points=None if self.faces is None else points_in_crops(self.faces).to(device),
            template=template_of(self.faces, self.template) if self.faces else self.template,
        )

    @property
    def kind(self) -> str:
        """What errors call the rows that terms look at."""
        return "targets" if self.faces is None else "faces"

    @cached_property
    def shown(self) -> Tensor:  # (rows,3,S,S) in [-1,1]
        """What terms look at: the targets, or the crops of their faces."""
        if self.faces is None:
            return to_signed(self.target, "target")
        return crop_faces(self.target, self.faces).image

    @cached_property
    def area(self) -> Tensor:  # (rows,1,S,S) in [0,1]
        """Where the edit is free; everywhere, where there is no mask."""
        mask, faces = self.mask, self.faces
        if mask is None:
            return torch.ones_like(self.shown[:, :1])
        area = to_mask(mask if faces is None else masks_in_crops(mask, faces), self.shown)
        names = faces.names() if faces else ()
        require_no_faults(empty_masks(area[:, 0]), self.kind[:-1], names)
        return area


def _see_every_face(faces: Faces, sight: Sight, candidates: int) -> Sight:
    """The crops of each face in each of its frame's pictures."""
    affine, size = faces.aligned()
    pictures = [
        frame * candidates + each for frame in faces.frame.tolist() for each in range(candidates)
    ]
    return see_faces(sight, affine.repeat_interleave(candidates, 0), pictures, size, faces.size)
