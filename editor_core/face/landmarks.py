"""The 478 landmarks of a face, by MediaPipe's meshes: found, settled, and differentiable.

Their numbers are those of MediaPipe's canonical face; sides are as in the picture. z is in the unit
of x and y, smaller towards the camera, and zero somewhere in the head.
"""

from dataclasses import dataclass, replace
from typing import Any

import torch
from PIL import Image, ImageDraw
from torch import Tensor
from torch.nn.functional import grid_sample

from ..images import from_picture, unit
from ..models.attention_mesh import (
    CONTOUR,
    LEFT_EYE,
    LEFT_IRIS,
    LIPS,
    RIGHT_EYE,
    RIGHT_IRIS,
    AttentionMesh,
)
from ..models.blendshapes import BLENDSHAPES as BLENDSHAPES
from ..models.face_mesh import LANDMARKS, MESH_SIZE, FaceMesh
from .aligning import align_faces, crop_faces
from .finding import five_points_of, points_in
from .records import Faces
from .resampling import invert, transform
from .templates import quarter_turn, square_affine, template_named

ROUNDS = 3  # looks at a face, each at the square around what the last one found
MESH_MARGIN = 1.5  # of that square to what the landmarks span, as in MediaPipe's training
REACH = (2.1, 1.9)  # of half a square's side, in eyes' distances and in those from eyes to mouth
LOWER = 0.46  # of the way from the eyes to the mouth is a mesh's middle
EYES_ENDS = [33, 263]  # the outer corners, with which a square is level
MOST_ZOOM = 3.0  # of a square to the last: what would be more shows no face
SURE = 0.5  # presence from which MediaPipe takes it for a face
PHOTO_CROP = 256  # pixels of the crop of a photo, antialiased, in which landmarks are found


def _ring(first: tuple[int, ...], back: tuple[int, ...]) -> tuple[int, ...]:
    return (*first, *reversed(back))


CONTOURS: dict[str, tuple[int, ...]] = {
    "face oval": (
        *(10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377),
        *(152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109),
    ),
    "left eye": _ring(LEFT_EYE[:9], LEFT_EYE[9:CONTOUR]),
    "right eye": _ring(RIGHT_EYE[:9], RIGHT_EYE[9:CONTOUR]),
    "left iris": LEFT_IRIS[1:],
    "right iris": RIGHT_IRIS[1:],
    "left brow": (70, 63, 105, 66, 107, 55, 65, 52, 53, 46),
    "right brow": (300, 293, 334, 296, 336, 285, 295, 282, 283, 276),
    "outer lips": _ring(LIPS[:11], LIPS[11:20]),
    "inner lips": _ring(LIPS[20:31], LIPS[31:40]),
}
"""Landmarks that go round a part of the face; each begins and ends beside the other end."""


@dataclass(frozen=True)
class FaceLandmarker:
    """A mesh network with the input it was trained on: a square around the face, 0 to 1."""

    network: FaceMesh | AttentionMesh
    size: int = MESH_SIZE

    def landmarks(self, image: Tensor, affine: Tensor) -> Tensor:
        """The landmarks of one face a picture, differentiable.

        Args:
            image: (B,3,H,W) in [-1,1].
            affine: (B,2,3) from pixels of the picture to the network's unit square, as
                `locate_landmarks` settles it.

        Returns:
            (B,478,3): x, y and depth in pixels of the picture.
        """
        return self.look(image, affine)[0]

    def look(self, image: Tensor, affine: Tensor) -> tuple[Tensor, Tensor]:
        """The landmarks (B,478,3), and how surely the square shows a face (B,), 0 to 1."""
        to_picture = invert(affine.to(image))
        points, presence = self.network(unit(sample_square(image, to_picture, self.size)))
        return _to_pixels(points / self.size, to_picture), presence

    def blendshapes(self, points: Tensor) -> Tensor:  # (B,478,3) -> (B,52) in [0,1]
        """How far each of `BLENDSHAPES` is shown, differentiable; the head may lean sideways.

        Raises:
            ValueError: The file of the landmarker has no blendshapes.
        """
        blendshapes = self.network.blendshapes
        if blendshapes is None:
            raise ValueError(
                "this face landmarker has no blendshapes, expected one that has: choose "
                "mediapipe_face_fp32.safetensors"
            )
        return blendshapes(upright(points))


def sample_square(image: Tensor, to_picture: Tensor, size: int) -> Tensor:  # -> (B,3,size,size)
    """The pixels of a picture in a unit square; beyond the picture's edge they are repeated."""
    steps = (torch.arange(size, device=image.device) + 0.5) / size
    cells = torch.stack(torch.meshgrid(steps, steps, indexing="xy"), 2).to(image)
    places = transform(to_picture, cells.flatten(0, 1).expand(len(image), -1, -1))
    grid = 2 * places / places.new_tensor([image.shape[3], image.shape[2]]) - 1
    return grid_sample(image, grid.unflatten(1, (size, size)), "bilinear", "border", False)


def _to_pixels(points: Tensor, to_picture: Tensor) -> Tensor:  # (B,478,3) of the unit square
    side = to_picture[:, :, :2].det().abs().sqrt()
    depth = points[..., 2:] * side[:, None, None]
    return torch.cat([transform(to_picture, points[..., :2]), depth], 2)


def upright(points: Tensor) -> Tensor:  # (B,478,3) -> (B,478,2)
    """The landmarks turned so that the outer corners of the eyes are level."""
    along = eye_line(points)
    return points[..., :2] @ torch.stack([along, quarter_turn(along)], 2)


def eye_line(points: Tensor) -> Tensor:  # (B,478,2 or 3) -> (B,2)
    """The direction from the left eye's outer corner to the right one's, of unit length."""
    left, right = points[:, EYES_ENDS, :2].unbind(1)
    return (right - left) / torch.linalg.vector_norm(right - left, dim=1, keepdim=True)


@torch.no_grad()
def locate_landmarks(
    landmarker: FaceLandmarker,
    image: Tensor,
    points: Tensor | None = None,
    box: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """The landmarks of one face a picture, and the square in which to find them again.

    Args:
        landmarker: From `load_landmarks`.
        image: (B,3,H,W) in [-1,1].
        points: (B,5,2), the face's five points in the order of `POINTS`.
        box: (B,4), or its box from brows to chin; with neither, the picture is an aligned crop.

    Returns:
        The landmarks (B,478,3) in pixels, and the affine (B,2,3) that `landmarks` takes. Each
        picture has what it would have alone.
    """
    if points is None and box is not None:
        points = points_in(box)
    affine = square_of_picture(image) if points is None else square_of_points(points.to(image))
    rows = [_settle(landmarker, image[k : k + 1], affine[k : k + 1]) for k in range(len(image))]
    found = torch.cat([image.new_zeros(0, LANDMARKS, 3), *(points for points, _ in rows)])
    return found, torch.cat([affine[:0], *(square for _, square in rows)])


def _settle(landmarker: FaceLandmarker, image: Tensor, affine: Tensor) -> tuple[Tensor, Tensor]:
    """Of one picture, for a network's last bits depend on how many it is given."""
    for _ in range(ROUNDS):
        moved = square_of_landmarks(landmarker.landmarks(image, affine))
        scale = (moved[0, :, :2].det() / affine[0, :, :2].det()).abs().sqrt().item()
        if not 1 / MOST_ZOOM < scale < MOST_ZOOM:  # nor where it is no number
            break
        affine = moved
    return landmarker.landmarks(image, affine), affine


def square_of_picture(image: Tensor) -> Tensor:  # (B,3,H,W) -> (B,2,3)
    """The affine of the largest square in a picture's middle, which is cut as FFHQ's are."""
    height, width = image.shape[2:]
    half = image.new_full((len(image),), min(height, width) / 2)
    centre = image.new_tensor([width / 2, height / 2]).expand(len(image), 2)
    return square_affine(centre, image.new_tensor([1.0, 0.0]).expand(len(image), 2), half)


def square_of_points(points: Tensor) -> Tensor:  # (B,5,2) -> (B,2,3)
    """The affine of the square in which a face of these five points is looked for."""
    left, right = points[:, 0], points[:, 1]
    between, middle = right - left, (left + right) / 2
    to_mouth = points[:, 3:].mean(1) - middle
    gap, drop = (torch.linalg.vector_norm(each, dim=1) for each in (between, to_mouth))
    half = torch.maximum(REACH[0] * gap, REACH[1] * drop)
    return square_affine(middle + LOWER * to_mouth, between / gap[:, None].clamp(min=1e-6), half)


def square_of_landmarks(points: Tensor) -> Tensor:  # (B,478,3) -> (B,2,3)
    """The affine of the square around landmarks, level with the eyes."""
    along = eye_line(points)
    axes = torch.stack([along, quarter_turn(along)], 2)
    turned = points[..., :2] @ axes
    low, high = turned.amin(1), turned.amax(1)
    centre = (axes @ ((low + high) / 2)[..., None])[..., 0]
    return square_affine(centre, along, (high - low).amax(1) * MESH_MARGIN / 2)


@dataclass(frozen=True)
class Meshes:
    """What a landmarker finds in the n faces of some photos."""

    points: Tensor  # (n,478,3) in pixels of each face's photo
    presence: Tensor  # (n,): how surely there is a face, 0..1
    blendshapes: Tensor | None  # (n,52) in the order of BLENDSHAPES, where the file has them


@torch.no_grad()
def find_meshes(landmarker: FaceLandmarker, photos: Tensor, faces: Faces) -> Meshes:
    """The mesh of every face of the photos (frames,H,W,3 or 4) in [0,1]."""
    aligned = align_faces(faces, template_named("ffhq"), PHOTO_CROP)
    to_photo = invert(aligned.aligned()[0])
    crops = crop_faces(photos, aligned).image.to(next(landmarker.network.parameters()))
    points, squares = locate_landmarks(landmarker, crops)
    presence = landmarker.look(crops, squares)[1] if len(crops) else crops.new_zeros(0)
    has_blendshapes = landmarker.network.blendshapes is not None
    return Meshes(
        _to_pixels(points.to(to_photo), to_photo),
        presence.to(to_photo),
        landmarker.blendshapes(points).to(to_photo) if has_blendshapes else None,
    )


def landmark_faces(landmarker: FaceLandmarker, photos: Tensor, faces: Faces) -> Faces:
    """The faces with their 478 landmarks, and with the five points that these tell.

    Args:
        landmarker: From `load_landmarks`.
        photos: (frames,H,W,3 or 4) in [0,1].
        faces: Of the photos, from a detector, a box or points.

    Returns:
        The faces; where the landmarker sees no face, it keeps the points that it had.

    Raises:
        ValueError: A face lies outside its photo, or the faces are of other photos.
    """
    return with_meshes(faces, find_meshes(landmarker, photos, faces))


def with_meshes(faces: Faces, meshes: Meshes) -> Faces:
    """The faces with the landmarks and points of their meshes, if these are of faces at all."""
    flat = meshes.points[..., :2]
    if not len(flat):
        return replace(faces, landmarks=flat)
    sure = (meshes.presence >= SURE)[:, None, None]
    return replace(
        faces, landmarks=flat, points=torch.where(sure, five_points_of(flat), faces.points)
    )


def core_landmarks(faces: Faces, meshes: Meshes) -> dict[str, Any]:
    """The landmarks as ComfyUI's own nodes hand them on: a list of faces a frame."""
    frames: list[list[dict[str, Any]]] = [[] for _ in range(faces.frames)]
    for row, frame in enumerate(faces.frame.tolist()):
        points = meshes.points[row]
        low, high = points[:, :2].amin(0), points[:, :2].amax(0)
        found = meshes.blendshapes
        values = [] if found is None else zip(BLENDSHAPES, found[row].tolist(), strict=True)
        about = {
            "bbox_xyxy": torch.cat([low, high]).numpy(),
            "landmarks_xy": points[:, :2].numpy(),
            "landmarks_3d": points.numpy(),
            "blendshapes": dict(values),
            "presence": meshes.presence[row].item(),
            "score": faces.score[row].item(),
        }
        frames[frame].append(about)
    return {"frames": frames, "image_size": faces.size, "connection_sets": core_contours()}


def core_contours() -> dict[str, frozenset[tuple[int, int]]]:
    """The edges that ComfyUI's nodes draw; its sides are the person's."""
    rings = {
        name: frozenset(zip(ring, ring[1:] + ring[:1], strict=True))
        for name, ring in CONTOURS.items()
    }
    sets = {
        "face_oval": rings["face oval"],
        "lips": rings["outer lips"] | rings["inner lips"],
        "left_eye": rings["right eye"],
        "right_eye": rings["left eye"],
        "left_eyebrow": rings["right brow"],
        "right_eyebrow": rings["left brow"],
    }
    contours = frozenset[tuple[int, int]]().union(*sets.values())
    irises = rings["left iris"] | rings["right iris"]
    more = {"contours": contours, "irises": irises, "all": contours | irises}
    return {**sets, **more, "nose": frozenset(), "tesselation": frozenset()}


def face_ovals(faces: Faces) -> Tensor:  # -> (frames,H,W) in [0,1]
    """Masks of the faces from brow to chin, by the outline of their landmarks."""
    if faces.landmarks is None or faces.landmarks.shape[1] < 468:
        raise ValueError("the faces have no mesh, expected 468 or 478 landmarks: find them first")
    height, width = faces.size
    canvases = [Image.new("L", (width, height)) for _ in range(faces.frames)]
    outlines = faces.landmarks[:, list(CONTOURS["face oval"])].tolist()
    for frame, outline in zip(faces.frame.tolist(), outlines, strict=True):
        ImageDraw.Draw(canvases[frame]).polygon([(x - 0.5, y - 0.5) for x, y in outline], fill=255)
    return torch.stack([from_picture(canvas) for canvas in canvases])
