"""What the models of a folder say of the faces in a photo: numbers for `faces` to show."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..face.aligning import align_faces, crop_faces
from ..face.errors import FaceError
from ..face.eyes import EyeBoxes, find_eyes, find_eyes_in_landmarks
from ..face.gaze import GazeEstimator, estimate_gaze
from ..face.head import head_pose, iris_gaze, mesh_phrases, pose_angles
from ..face.identity import IdentityEncoder
from ..face.landmarks import BLENDSHAPES, SURE, FaceLandmarker, Meshes, find_meshes, with_meshes
from ..face.locate import embed_faces
from ..face.parsing import FaceParser, FaceParsing, FacePart, parse_face
from ..face.records import POINTS, Faces, numbers_of
from ..face.resampling import invert
from ..face.templates import template_named
from ..loading.models import LOADERS, find_models
from ..photos import eye_corners

CROP = 256  # pixels of the crop that parsers and gaze networks see
WORN = (FacePart.EYE_GLASSES, FacePart.EAR_RING, FacePart.NECK_LACE, FacePart.HAT)
LEAST = 0.001  # of the crop, from which on what is worn is said


@dataclass(frozen=True)
class FaceJudges:
    """What a folder has of the models that tell something of a face."""

    identity: IdentityEncoder | None = None
    landmarks: FaceLandmarker | None = None
    gaze: GazeEstimator | None = None
    parser: FaceParser | None = None


def load_judges(folder: Path) -> FaceJudges:
    """Those in the folder; a diffusion model may be missing, and is not loaded."""
    files, kinds = find_models(folder), vars(FaceJudges())
    return FaceJudges(**{kind: LOADERS[kind](files[kind]) for kind in kinds if kind in files})


@dataclass(frozen=True)
class Described:
    """The faces of one photo: what is known of each as JSON holds it, and in words."""

    path: Path
    photo: Tensor  # (1,H,W,3 or 4)
    faces: Faces  # aligned; embedded where there is an encoder
    records: list[dict[str, Any]]
    words: list[str]
    gaze: Tensor  # (n,2): pitch and yaw to the camera, in radians; NaN where it is not known


def describe_faces(
    judges: FaceJudges, path: Path, photo: Tensor, faces: Faces, template: str, size: int
) -> Described:
    """Ask all the judges about faces of one photo, and align them.

    Raises:
        FaceError: A face lies outside its photo; it is named.
    """
    try:
        meshes = None
        if judges.landmarks is not None:
            meshes = find_meshes(judges.landmarks, photo, faces)
            faces = with_meshes(faces, meshes)
        faces = align_faces(faces, template_named(template), size)
        if judges.identity is not None:
            faces = embed_faces(faces, photo, judges.identity)
        upright = align_faces(faces, template_named(_seen_as(template)), CROP)
    except FaceError as error:
        raise error.named(faces.names([path])) from None
    described = Described(path, photo, faces, *_places(path, faces), _unknown(len(faces)))
    described = _with_meshes(described, meshes) if meshes is not None else described
    return _with_crops(described, judges, upright, meshes)


def _seen_as(template: str) -> str:
    return template if template == "whole box" else "ffhq"


def _unknown(count: int) -> Tensor:
    return torch.full((count, 2), torch.nan)


def _places(path: Path, faces: Faces) -> tuple[list[dict[str, Any]], list[str]]:
    records, words = [], []
    rows = zip(numbers_of(faces), faces.box.tolist(), faces.score.tolist(), strict=True)
    for row, (number, box, score) in enumerate(rows):
        points = dict(zip(POINTS, faces.points[row].tolist(), strict=True))
        where = {"photo": str(path), "face": number, "box": box, "score": score, "points": points}
        records.append(where)
        x0, y0, x1, y1 = map(round, box)
        words.append(f"box {x0},{y0},{x1},{y1}, score {score:.2f}")
    return records, words


def _with_meshes(described: Described, meshes: Meshes) -> Described:
    """The head's turn, the gaze by the irises and the expressions, where a face is seen."""
    heads = torch.rad2deg(pose_angles(head_pose(meshes.points))).tolist()
    gaze, words = iris_gaze(meshes.points).mean(1), []
    phrases = zip(described.words, mesh_phrases(meshes), strict=True)
    for row, (known, phrase) in enumerate(phrases):
        record, presence = described.records[row], meshes.presence[row].item()
        record["presence"] = presence
        if presence < SURE:
            gaze[row] = torch.nan
            words.append(f"{known}; the landmarker sees no face ({presence:.2f})")
            continue
        record["head"] = dict(zip(("pitch", "yaw", "roll"), heads[row], strict=True))
        record["gaze"] = _degrees(gaze[row], "irises")
        if meshes.blendshapes is not None:
            values = meshes.blendshapes[row].tolist()
            record["blendshapes"] = dict(zip(BLENDSHAPES, values, strict=True))
        words.append(f"{known}; {phrase}")
    return replace(described, words=words, gaze=gaze)


def _degrees(gaze: Tensor, by: str) -> dict[str, Any]:  # (2,)
    pitch, yaw = torch.rad2deg(gaze).tolist()
    return {"pitch": pitch, "yaw": yaw, "by": by}


def _with_crops(
    described: Described, judges: FaceJudges, upright: Faces, meshes: Meshes | None
) -> Described:
    """What the parser sees, and the gaze by a gaze network, face by face."""
    if judges.parser is None and judges.gaze is None:
        return described
    gaze, words = described.gaze.clone(), list(described.words)
    for row, face in enumerate(upright):
        crop = crop_faces(described.photo, face).image
        parsing = None if judges.parser is None else parse_face(judges.parser, crop)
        if parsing is not None:
            shares = described.records[row]["parts"] = part_shares(parsing)
            worn = [part.name.lower() for part in WORN if shares[part.name.lower()] > LEAST]
            words[row] += f"; wears {', '.join(worn)}" if worn else ""
        seen = meshes is not None and meshes.presence[row] >= SURE
        eyes = None if judges.gaze is None else _eyes(face if seen else None, parsing)
        if judges.gaze is not None and eyes is not None:
            looks = estimate_gaze(judges.gaze, crop, eyes)
            turned = in_photo(torch.stack([looks.pitch, looks.yaw], 1), face)
            gaze[row] = turned[0]
            name = type(judges.gaze.network).__name__
            record = described.records[row]["gaze"] = _degrees(turned[0], name)
            words[row] += f"; by {name} eyes {record['pitch']:+.0f} up, {record['yaw']:+.0f} right"
    return replace(described, words=words, gaze=gaze)


def _eyes(face: Faces | None, parsing: FaceParsing | None) -> EyeBoxes | None:
    """The eyes of one face in its crop, by its landmarks or else by its parsing."""
    try:
        corners = None if face is None else eye_corners(face)
        if corners is not None:
            return find_eyes_in_landmarks(corners, (CROP, CROP))
        return None if parsing is None else find_eyes(parsing)
    except FaceError:  # no eyes, and so no gaze
        return None


def part_shares(parsing: FaceParsing) -> dict[str, float]:
    """How much of one crop each part covers, 0 to 1, by its name."""
    counts = torch.bincount(parsing.labels.flatten(), minlength=len(FacePart))
    return {part.name.lower(): counts[part].item() / parsing.labels.numel() for part in FacePart}


def in_photo(gaze: Tensor, faces: Faces) -> Tensor:  # (n,2) -> (n,2)
    """Pitch and yaw in the crops of aligned faces, in the axes of their photos."""
    pitch, yaw = gaze.unbind(1)
    across = torch.stack([pitch.cos() * yaw.sin(), -pitch.sin()], 1)
    turn = invert(faces.aligned()[0])[:, :, :2]
    turn = turn / turn.det().abs().sqrt()[:, None, None]
    x, y = (turn @ across[..., None])[..., 0].unbind(1)
    return torch.stack([-y.clamp(-1, 1).asin(), torch.atan2(x, pitch.cos() * yaw.cos())], 1)
