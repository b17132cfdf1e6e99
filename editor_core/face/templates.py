"""How the pictures that a model learned from were cut out of photos, a template a family."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .records import Faces, Size

Places = Sequence[tuple[float, float]]  # of the five points, in the crop's sides
Align = Callable[[Tensor], Tensor]  # five points (n,5,2) -> affines (n,2,3), sides from 0 to 1

ARCFACE_POINTS = (  # places of the five points in a crop of 112 x 112
    *((38.2946, 51.6963), (73.5318, 51.5014), (56.0252, 71.7366)),
    *((41.5493, 92.3655), (70.7299, 92.2041)),
)
DEMO_POINTS = ((0.376, 0.491), (0.624, 0.491), (0.5, 0.646), (0.415, 0.737), (0.585, 0.737))

# Means over 150 photographs aligned as FFHQ's, each with its mirror image: of the points that YuNet
# finds, and of MTCNN's in its boxes widened by a quarter, as FaceNet was validated.
FFHQ_POINTS = ((0.380, 0.473), (0.620, 0.473), (0.5, 0.619), (0.398, 0.738), (0.602, 0.738))
MTCNN_POINTS = ((0.321, 0.418), (0.679, 0.418), (0.5, 0.580), (0.341, 0.705), (0.659, 0.705))
MTCNN_ASPECT = 0.75  # of a box's width to its height, which facenet-pytorch stretches to a square


@dataclass(frozen=True)
class Template:
    """Where a crop has its face, under a name.

    `align` makes the affines into crops, whose sides run from 0 to 1; without it a crop is the
    square around the face's box. `places` are the five points of an average face in the crop.
    """

    name: str
    align: Align | None
    places: Places | None

    def affine(self, faces: Faces) -> Tensor:  # -> (n,2,3)
        """From the photo to the crops."""
        return whole_box(faces) if self.align is None else self.align(faces.points)

    def points(self, size: Size) -> Tensor | None:  # -> (1,5,2)
        """Where an average face has its points, in pixels of a crop; None where no one knows."""
        if self.places is None:
            return None
        return torch.tensor(self.places)[None] * torch.tensor([size[1], size[0]])


def five_points_at(places: Places) -> Align:
    """The similarity that takes the five points nearest to their places."""
    return lambda points: similarity(points, torch.tensor(places).to(points))


def stretched_points_at(places: Places, aspect: float) -> Align:
    """The same for a rectangle, of that width to height, which is stretched to a square."""
    upright = torch.tensor([((x - 0.5) * aspect + 0.5, y) for x, y in places])

    def align(points: Tensor) -> Tensor:
        affine, middle = similarity(points, upright.to(points)), points.new_tensor([0, 0, 0.5])
        across, down = affine.unbind(1)
        return torch.stack([(across - middle) / aspect + middle, down], 1)

    return align


def eyes_and_mouth(points: Tensor) -> Tensor:  # (n,5,2) -> (n,2,3)
    """The square around eyes and mouth that FFHQ and CelebA-HQ are cut to (arXiv 1812.04948).

    Half its side is the larger of 2 times the distance between the eyes and 1.8 times that from the
    eyes to the mouth; its centre lies 0.1 of the latter under the eyes.
    """
    left, right = points[:, 0], points[:, 1]
    between, middle = right - left, (left + right) / 2
    to_mouth = points[:, 3:].mean(1) - middle
    across = between - quarter_turn(to_mouth)
    reach = torch.maximum(between.norm(dim=1) * 2.0, to_mouth.norm(dim=1) * 1.8)
    along = across / across.norm(dim=1, keepdim=True).clamp(min=1e-9)
    return square_affine(middle + 0.1 * to_mouth, along, reach)


def whole_box(faces: Faces) -> Tensor:
    """The upright square around the box: for pictures that are aligned already."""
    half = (faces.box[:, 2:] - faces.box[:, :2]).amax(1) / 2
    return square_affine(faces.centre, half.new_tensor([[1.0, 0.0]]).expand(len(half), 2), half)


def square_affine(centre: Tensor, along: Tensor, half: Tensor) -> Tensor:  # (n,2), (n,2), (n,)
    """Squares of half side `half`, whose upper edge runs `along`, to the unit square."""
    turn = torch.stack([along, quarter_turn(along)], 1) / (2 * half.clamp(min=1e-6))[:, None, None]
    return torch.cat([turn, 0.5 - turn @ centre[..., None]], 2)


def quarter_turn(v: Tensor) -> Tensor:  # (n,2) -> (n,2)
    """Vectors turned from x towards y."""
    return torch.stack([-v[:, 1], v[:, 0]], 1)


def similarity(points: Tensor, places: Tensor) -> Tensor:  # (n,L,2), (L,2) -> (n,2,3)
    """The turn, scale and shift that bring points nearest to their places, by least squares.

    In the plane the solution of Umeyama, IEEE PAMI 13(4), 1991, is one complex factor; no point is
    ever mirrored.
    """
    middle, aim = points.mean(1, keepdim=True), places.mean(0)
    p, q = points - middle, places - aim
    spread = p.square().sum((1, 2)).clamp(min=1e-9)
    real = (p * q).sum((1, 2)) / spread
    imaginary = (p[..., 0] * q[..., 1] - p[..., 1] * q[..., 0]).sum(1) / spread
    turn = torch.stack([real, -imaginary, imaginary, real], 1).unflatten(1, (2, 2))
    return torch.cat([turn, aim[:, None] - turn @ middle.mT], 2)


ARCFACE_PLACES = [(x / 112, y / 112) for x, y in ARCFACE_POINTS]
TEMPLATES = {
    template.name: template
    for template in (
        Template("ffhq", eyes_and_mouth, FFHQ_POINTS),
        Template("arcface", five_points_at(ARCFACE_PLACES), ARCFACE_PLACES),
        Template("demo", five_points_at(DEMO_POINTS), DEMO_POINTS),  # the drawn world's own
        Template("mtcnn", stretched_points_at(MTCNN_POINTS, MTCNN_ASPECT), MTCNN_POINTS),
        Template("whole box", None, None),
    )
}


def usual_template(own: str) -> str:
    """What crops of unknown making are cut to, for an encoder of the template `own`.

    That of the diffusion models of faces, FFHQ's; the drawn world has one template for everything.
    """
    return own if own == "demo" else "ffhq"


def template_named(name: str) -> Template:
    """One of `TEMPLATES`."""
    return TEMPLATES[require_template(name)]


def require_template(name: str) -> str:
    """The name of one of `TEMPLATES`; `ValueError` for any other."""
    if name not in TEMPLATES:
        raise ValueError(f'template is "{name}", expected one of: {", ".join(TEMPLATES)}')
    return name
