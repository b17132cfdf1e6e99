"""What the guidance terms of one run are bound to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from torch import Generator, Tensor

from ..face.identity import IdentityEncoder, embed_identity
from ..face.landmarks import FaceLandmarker, locate_landmarks
from ..face.parsing import FaceParser, FaceParsing, parse_face
from ..images import to_mask


@dataclass(frozen=True, eq=False)
class EditBatch:
    """n targets, of each of which `candidates` edits are made at once."""

    target: Tensor  # (n,3,H,W) in [-1,1]
    mask: Tensor  # (n,1,H,W) in [0,1], 1 where the edit is free
    embedding: Tensor | None  # (n,E) of the sources, unit length
    generators: Sequence[Generator]  # one for each of the n x candidates pictures
    candidates: int = 1
    keep: Tensor | None = None  # (n,1,H,W) in [0,1], what the mask was cut by
    parsings: list[tuple[FaceParser, FaceParsing]] = field(default_factory=list)  # of the targets
    points: Tensor | None = None  # (n,5,2) of the targets in pixels, in the order of POINTS
    template: str | None = None  # what they were cut to; None: as each encoder wants them
    start: Tensor | None = None  # (n,3,H,W) in [-1,1], noised inside the mask; None: the targets
    settled: list[tuple[FaceLandmarker, Tensor]] = field(default_factory=list)  # on the targets

    def __len__(self) -> int:
        """How many pictures are edited."""
        return len(self.target) * self.candidates

    def repeated(self, rows: Tensor) -> Tensor:  # (n,...) -> (n x candidates,...)
        """One row a target as one row a candidate."""
        return rows.repeat_interleave(self.candidates, 0)

    def rows_of(self, mask: Tensor, name: str) -> Tensor:  # (n or 1,H,W) -> (n x candidates,1,H,W)
        """A mask of the targets as one plane a candidate; `ValueError` where it is of others."""
        return self.repeated(to_mask(mask.to(self.target.device), self.target, name))

    def viewer_of(self, encoder: IdentityEncoder) -> Callable[[Tensor], Tensor]:
        """What brings the edits to an encoder's size and template: `IdentityEncoder.viewer`."""
        height, width = self.target.shape[2:]
        return encoder.viewer((height, width), self.template, self._points(), len(self))

    def embed(self, encoder: IdentityEncoder, image: Tensor) -> Tensor:  # (B,3,H,W) -> (B,E)
        """The identities of the edits."""
        return embed_identity(encoder, image, template=self.template, points=self._points())

    def _points(self) -> Tensor | None:
        return None if self.points is None else self.repeated(self.points)

    def mesh_by(self, landmarker: FaceLandmarker) -> Callable[[Tensor], Tensor]:
        """What finds the landmarks (B,478,3) of edits, each where its target's settled.

        Each landmarker is settled once a run.
        """
        found = next((affine for known, affine in self.settled if known is landmarker), None)
        if found is None:
            _, found = locate_landmarks(landmarker, self.target, self.points)
            self.settled.append((landmarker, found))
        affine = self.repeated(found)
        return lambda image: landmarker.landmarks(image, affine)

    def parsing_by(self, parser: FaceParser) -> FaceParsing:
        """The targets as that parser sees them; each parser is asked once a run."""
        for known, parsing in self.parsings:
            if known is parser:
                return parsing
        self.parsings.append((parser, parse_face(parser, self.target)))
        return self.parsings[-1][1]
