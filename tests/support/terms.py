"""One row a guidance term: how the tests make it, and what it is asked of.

Every term test walks these rows. A term that is no row here fails `test_every_term_is_a_row`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...editor_core.face.expression import EXPRESSION_POINTS
from ...editor_core.face.eyes import EyeBoxes
from ...editor_core.face.gaze import Frame, GazeEstimator, GazeGoal
from ...editor_core.face.head import RIGID, fit_head
from ...editor_core.face.landmarks import locate_landmarks
from ...editor_core.face.parsing import FACE_PARTS
from ...editor_core.guidance.batch import EditBatch
from ...editor_core.guidance.terms import (
    BlendshapeTerm,
    BoundTerm,
    ExpressionTerm,
    GazeTerm,
    GuidanceTerm,
    IdentityTerm,
    LightTerm,
    LpipsTerm,
    ParsingTerm,
    PixelTerm,
    TextTerm,
    bind_terms,
)
from ...editor_core.guidance.views import RandomViews
from .clip import tiny_clip
from .tiny import (
    tiny_encoder,
    tiny_estimator,
    tiny_face_estimator,
    tiny_landmarker,
    tiny_lpips,
    tiny_parser,
)

SIZE = 32


def pictures(count: int, seed: int) -> Tensor:  # (count,3,S,S) in [-0.9,0.9], float64
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(count, 3, SIZE, SIZE, generator=generator, dtype=torch.float64) * 1.8 - 0.9


def face_mask(count: int) -> Tensor:  # (count,1,S,S)
    mask = torch.zeros(count, 1, SIZE, SIZE, dtype=torch.float64)
    mask[:, :, 8:24, 10:22] = 1
    return mask


def eyes(rows: slice) -> EyeBoxes:
    left = torch.tensor([[4, 8, 14, 14], [5, 9, 15, 15], [4, 9, 14, 15]])[rows]
    return EyeBoxes(left, left + torch.tensor([14, 0, 14, 0]), (SIZE, SIZE))


def batch_of(target: Tensor, candidates: int = 1, first: int = 0, **changes: Any) -> EditBatch:
    """A batch whose source is its own target, so that an edit equal to it has all that is asked."""
    count = len(target)
    generators = [torch.Generator().manual_seed(first + k) for k in range(count * candidates)]
    embedding = tiny_encoder().embed(target)
    facts = {"target": target, "mask": face_mask(count), "embedding": embedding, **changes}
    return EditBatch(generators=generators, candidates=candidates, **facts)


def bound_pixel(target: Tensor, **settings: Any) -> BoundTerm:
    """The pixel term of any targets (B,C,H,W), as a guider takes it."""
    batch = EditBatch(target, torch.ones_like(target[:, :1]), None, [])
    return bind_terms([PixelTerm(**settings)], batch)[0]


@dataclass(frozen=True)
class TermRow:
    """A term made for targets `rows` of three, and what its loss is by another way."""

    name: str
    make: Callable[..., GuidanceTerm]  # (rows, **settings)
    expected: Callable[[Tensor, Tensor], Tensor]  # (target, image) -> (B,), of `plain`
    plain: Callable[..., GuidanceTerm] | None = None  # where `make` draws random views
    whole: bool = False  # whether `plain` needs a mask of the whole picture to be zero
    granted: Callable[[Tensor], Tensor] = torch.clone  # targets -> edits that have what is asked


def _identity(rows: slice, copies: int = 3, **settings: Any) -> GuidanceTerm:
    return IdentityTerm(identity=tiny_encoder(), views=RandomViews(copies), **settings)


def _expected_identity(target: Tensor, image: Tensor) -> Tensor:
    encoder, mask = tiny_encoder(), face_mask(len(image))
    face = encoder.resize(encoder.normalise(image) * mask, encoder.size)
    return 1 - F.cosine_similarity(encoder.embed_view(face), encoder.embed(target), dim=1)


def _expected_parsing(target: Tensor, image: Tensor) -> Tensor:
    there, here = (tiny_parser().logits(each) for each in (target, image))
    return torch.stack([(here[:, k] - there[:, k]).abs().mean((1, 2)) for k in FACE_PARTS]).sum(0)


def _expected_gaze(estimator: GazeEstimator) -> Callable[[Tensor, Tensor], Tensor]:
    def expected(target: Tensor, image: Tensor) -> Tensor:
        boxes = eyes(slice(0, len(image)))
        turned = estimator.estimate(image, boxes) - estimator.estimate(target, boxes)
        return sum((each.abs().mean(1) for each in turned.unbind(1)), torch.zeros(len(image)))

    return expected


@dataclass(frozen=True)
class CornerGaze:
    """Reads the gaze off the first pixel of each eye's box: red is its pitch, green its yaw."""

    network: nn.Module = nn.Identity()
    frame: Frame = "camera"

    def estimate(self, image: Tensor, boxes: EyeBoxes) -> Tensor:  # (B,3,H,W) -> (B,2,2)
        """The gaze of the left and of the right eye."""
        return torch.stack([_corners(image, box) for box in (boxes.left, boxes.right)], dim=1)

    def shown(self, image: Tensor, angles: Tensor) -> Tensor:
        """The pictures with eyes (2,2) that look there."""
        image, boxes = image.clone(), eyes(slice(0, len(image)))
        for box, angle in zip((boxes.left, boxes.right), angles, strict=True):
            for row, (x, y) in zip(image, box[:, :2].tolist(), strict=True):
                row[:2, y, x] = angle
        return image


def _corners(image: Tensor, box: Tensor) -> Tensor:  # (B,3,H,W), (B,4) -> (B,2)
    corners = zip(image, box[:, :2].tolist(), strict=True)
    return torch.stack([row[:2, y, x] for row, (x, y) in corners])


GOALS = {  # and the pitch and yaw of the left and the right eye in degrees
    GazeGoal("set", pitch=-10.0, yaw=15.0): ((-10.0, 15.0), (-10.0, 15.0)),
    GazeGoal("set-each", 5.0, 20.0, -5.0, -20.0): ((5.0, 20.0), (-5.0, -20.0)),
    GazeGoal("at-camera", pitch=7.0): ((0.0, 0.0), (0.0, 0.0)),
}


def _gaze_row(goal: GazeGoal, degrees: tuple[tuple[float, float], ...]) -> TermRow:
    """A gaze that is set, by a network whose reading of a picture can be drawn."""
    estimator, asked = CornerGaze(), torch.deg2rad(torch.tensor(degrees, dtype=torch.float64))

    def expected(target: Tensor, image: Tensor) -> Tensor:
        read = estimator.estimate(image, eyes(slice(0, len(image))))
        return (read - asked).abs().sum((1, 2)) / 2

    return TermRow(
        "gaze",
        lambda rows, **s: GazeTerm(gaze=estimator, eyes=eyes(rows), goal=goal, **s),
        expected,
        granted=lambda target: estimator.shown(target, asked),
    )


def _expected_lpips(target: Tensor, image: Tensor) -> Tensor:
    outside = 1 - face_mask(len(image))
    return tiny_lpips()(image * outside, target * outside)


def _expected_light(target: Tensor, image: Tensor) -> Tensor:
    """Cell by cell: the tent of a picture four cells wide, the means of the mask weighted by it."""
    weight, mask = tent_weights(SIZE, 4), face_mask(len(image))[:, 0]
    covered = torch.einsum("iy,jx,byx->bij", weight, weight, mask)
    change = torch.einsum("iy,jx,byx,bcyx->bcij", weight, weight, mask, image - target)
    squares = (change / covered[:, None].clamp(min=1e-6)).square() * covered[:, None]
    return squares.sum((2, 3)).mean(1) / covered.sum((1, 2))


def tent_weights(size: int, cells: int) -> Tensor:  # (cells,size)
    """What each pixel of a line counts in each cell: a tent, two cells wide, of weight 1."""
    cell = size / cells
    pixels, middles = torch.arange(size) + 0.5, (torch.arange(cells) + 0.5) * cell
    tent = (1 - (pixels - middles[:, None]).abs() / cell).clamp(min=0).double()
    return tent / tent.sum(1, keepdim=True)


def _mesh(target: Tensor) -> tuple[Tensor, Tensor]:
    """The landmarks (n,478,3) of targets, and where they were found."""
    return locate_landmarks(tiny_landmarker(), target)


def _expected_expression(target: Tensor, image: Tensor) -> Tensor:
    """Point by point, in a head's axes: those of the pose, from the middle of what is rigid."""
    (there, affine), loss = _mesh(target), torch.zeros(len(image), dtype=torch.float64)
    here, numbers = tiny_landmarker().landmarks(image, affine), [int(row[0]) for row in RIGID]
    weight = torch.tensor([row[1] for row in RIGID], dtype=torch.float64)
    for row, heads in enumerate(zip(there, here, strict=True)):
        places = []
        for head in heads:
            pose, scale = (each[0] for each in fit_head(head[None]))
            middle = (head[numbers] * weight[:, None]).sum(0) / weight.sum()
            turned = torch.stack([pose.T @ (head[k] - middle) for k in EXPRESSION_POINTS])
            places.append(turned[:, :2] / scale)
        loss[row] = (places[1] - places[0]).norm(dim=1).square().mean()
    return loss


def _asked(rows: slice) -> Tensor:  # -> (n,52)
    """What the targets show, of two blendshapes; the others are free."""
    shown = tiny_landmarker().blendshapes(_mesh(pictures(3, 1)[rows])[0])
    return torch.where(torch.arange(52) % 30 == 3, shown, torch.nan)


def _expected_blendshapes(target: Tensor, image: Tensor) -> Tensor:
    landmarker, asked = tiny_landmarker(), _asked(slice(0, len(image)))
    shown = landmarker.blendshapes(landmarker.landmarks(image, _mesh(target)[1]))
    return sum(((shown - asked)[:, k] ** 2 / 2 for k in (3, 33)), torch.zeros(len(image)))


def _text(rows: slice, copies: int = 3, **settings: Any) -> GuidanceTerm:
    return TextTerm(
        clip=tiny_clip(), texts=_directions(), margin=0.2, views=RandomViews(copies), **settings
    )


@cache
def _directions() -> Tensor:  # (2,8): shown by the pictures of seed 3, by no others
    embedded = torch.cat([tiny_clip().embed(pictures(2, seed)) for seed in (3, 1, 2)])
    shown = torch.tensor([[1.0] * 2 + [-1.0] * 4, [2.0] * 2 + [0.0] * 4], dtype=torch.float64)
    return torch.linalg.lstsq(embedded, shown.T).solution.T


def _expected_text(target: Tensor, image: Tensor) -> Tensor:
    cosines = tiny_clip().embed(image) @ _directions().T
    missing = torch.where(cosines < 0.2, 0.2 - cosines, 0)
    return missing[:, 0] + missing[:, 1]


ROWS = (
    TermRow(
        "identity",
        _identity,
        _expected_identity,
        plain=lambda rows: _identity(rows, copies=1),
        whole=True,
    ),
    TermRow("parsing", lambda rows, **s: ParsingTerm(parser=tiny_parser(), **s), _expected_parsing),
    *(
        TermRow(
            "gaze",
            lambda rows, each=each, **s: GazeTerm(gaze=each, eyes=eyes(rows), **s),
            _expected_gaze(each),
        )
        for each in (tiny_estimator(), tiny_face_estimator())
    ),
    *(_gaze_row(goal, degrees) for goal, degrees in GOALS.items()),
    TermRow("lpips", lambda rows, **s: LpipsTerm(lpips=tiny_lpips(), **s), _expected_lpips),
    TermRow(
        "text",
        _text,
        _expected_text,
        plain=lambda rows: _text(rows, copies=1),
        granted=lambda target: pictures(len(target), 3),
    ),
    TermRow(
        "expression",
        lambda rows, **s: ExpressionTerm(landmarks=tiny_landmarker(), **s),
        _expected_expression,
    ),
    TermRow(
        "blendshapes",
        lambda rows, **s: BlendshapeTerm(landmarks=tiny_landmarker(), asked=_asked(rows), **s),
        _expected_blendshapes,
    ),
    TermRow("light", lambda rows, **s: LightTerm(cells=4, **s), _expected_light),
    TermRow(
        "pixel",
        lambda rows, **s: PixelTerm(**s),
        lambda target, image: torch.stack(
            [F.mse_loss(a, b) for a, b in zip(image, target, strict=True)]
        ),
    ),
)
