# ruff: noqa: N818  a name such as MissingModel says that it is an error
"""The published files that people have: name, size, hash, licence, origin; None is unknown."""

from dataclasses import dataclass


class MissingModel(FileNotFoundError):
    """A model file that is not where it was looked for; the message says what to put there."""


@dataclass(frozen=True)
class KnownFile:
    """A published file. `kind` is the editor's word for what the file does."""

    name: str
    kind: str
    licence: str
    origin: str
    size: int | None = None  # bytes
    sha256: str | None = None


DIFFFACE = "github.com/hxngiee/DiffFace"
NON_COMMERCIAL = "CC BY-NC 4.0 (non-commercial)"
CELEBAMASK = "MIT, trained on the non-commercial CelebAMask-HQ"

KNOWN_FILES = (
    KnownFile("Model.pt", "diffusion", NON_COMMERCIAL, DIFFFACE),
    KnownFile("Arcface.tar", "identity", NON_COMMERCIAL, DIFFFACE),
    KnownFile("FaceParser.pth", "parser", CELEBAMASK, DIFFFACE),
    KnownFile("GazeEstimator.pt", "gaze", "none stated", DIFFFACE),
    KnownFile(
        "79999_iter.pth",
        "parser",
        CELEBAMASK,
        "github.com/xinntao/facexlib, release v0.2.0, as parsing_bisenet.pth",
        53_289_463,
        "468e13ca13a9b43cc0881a9f99083a430e9c0a38abd935431d1c28ee94b26567",
    ),
    KnownFile(
        "256x256_diffusion_uncond.pt",
        "diffusion",
        "MIT",
        "openaipublic.blob.core.windows.net/diffusion/jul-2021",
        2_211_383_297,
        "a37c32fffd316cd494cf3f35b339936debdc1576dad13fe57c42399a5dbc78b1",
    ),
    KnownFile(
        "ffhq_10m.pt",
        "diffusion",
        "none stated",
        "drive.google.com/drive/folders/1jElnRoFv7b31fG0v6pTSQkelbSX3xGZh",
    ),
    KnownFile(
        "vgg16-397923af.pth",
        "lpips",
        "BSD-3-Clause",
        "download.pytorch.org/models",
        553_433_881,
        "397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0",
    ),
)


def known_file(name: str) -> KnownFile | None:
    """The published file of that name."""
    return next((file for file in KNOWN_FILES if file.name == name), None)


def describe(name: str) -> str:
    """Where a file of that name comes from and on what terms."""
    file = known_file(name)
    if file is None:
        return "it is no published file: is the name right?"
    return f"{file.name} is published at {file.origin}, licence {file.licence}"


def missing(kind: str, folder: object) -> MissingModel:
    """The error for a folder that has no model of a kind."""
    names = " or ".join(file.name for file in KNOWN_FILES if file.kind == kind)
    return MissingModel(
        f"no {kind} model in {folder}: expected {names}, or a safetensors file of that kind; "
        "put one there (the README lists origins and licences)"
    )
