# ruff: noqa: N818  a name such as MissingModel says that it is an error
"""Which published file a file is, or has the name of, and what to say of one that is missing."""

import os
from functools import lru_cache
from pathlib import Path, PurePath

from ..files import sha256
from .published_files import KNOWN_FILES, KnownFile

StrPath = str | os.PathLike[str]

ROOT = "face_edit"  # under ComfyUI's models folder
FOLDERS = {  # under that, by the editor's word for what a model does
    "diffusion": "diffusion",
    "identity": "identity",
    "parser": "parsing",
    "gaze": "gaze",
    "lpips": "lpips",
}
NO_NETWORK = "; the editor has no network for it: choose another"


class MissingModel(FileNotFoundError):
    """A model file that is not where it was looked for; the message says what to put there."""


def known_file(path: StrPath) -> KnownFile | None:
    """The published file of that name."""
    return next((file for file in KNOWN_FILES if _is_named(path, file)), None)


def identify(path: StrPath) -> KnownFile | None:
    """The published file that a file is, by its SHA-256.

    It is computed only where the size is that of a published file, or where the name is that of one
    of unknown size, and once while the file stays as it is.
    """
    size = os.path.getsize(path)
    alike = [
        file
        for file in KNOWN_FILES
        if file.sha256 and (file.size == size or (file.size is None and _is_named(path, file)))
    ]
    return next((file for file in alike if file.sha256 == hashed(path)), None)


def doubt(path: StrPath) -> str | None:
    """What is wrong with a file that has a published one's name and is another; else None."""
    named = known_file(path)
    if named is None or named.sha256 is None or identify(path) is named:
        return None
    size = os.path.getsize(path)
    told_by_size = named.size not in (None, size)
    got = f"{size:,} bytes, not {named.size:,}" if told_by_size else f"SHA-256 {hashed(path)}"
    return (
        f"{path} is not the published {named.name}: expected SHA-256 {named.sha256}, got {got}; "
        f"fetch it from {named.origin}, or give it a name of its own"
    )


def hashed(path: StrPath) -> str:
    """The file's SHA-256, remembered while the file stays as it is."""
    about = os.stat(path)
    return _hashed(os.fspath(path), about.st_size, about.st_mtime_ns)


@lru_cache
def _hashed(path: str, size: int, changed: int) -> str:
    return sha256(path)


def describe(path: StrPath) -> str:
    """Where a file of that name comes from, on what terms, and how it is fetched."""
    file = known_file(path)
    if file is None:
        return "it is no published file: is the name right?"
    return (
        f"{file.name} is published at {file.origin}, licence {file.licence}, "
        f"SHA-256 {file.sha256 or 'unknown'}{_command(file) if file.loads else NO_NETWORK}"
    )


def missing(kind: str, folder: object) -> MissingModel:
    """The error for a folder that has no model of a kind."""
    files = [file for file in KNOWN_FILES if file.kind == kind and file.loads]
    names = " or ".join(file.name for file in files)
    example = next((file for file in files if file.url), files[0])
    return MissingModel(
        f"no {kind} model in {folder}: expected {names}, or a safetensors file of that kind; "
        f"put one there. {describe(example.name)}"
    )


def _is_named(path: StrPath, file: KnownFile) -> bool:
    return any(PurePath(path).match(name) for name in (file.name, *file.aliases))


def _command(file: KnownFile) -> str:
    """How comfy-cli fetches it; nothing where there is no address of the file itself."""
    if file.url is None:
        return ""
    folder = Path("models", ROOT, FOLDERS[file.kind], file.name).parent.as_posix()
    return f"; comfy model download --url {file.url} --relative-path {folder}"
