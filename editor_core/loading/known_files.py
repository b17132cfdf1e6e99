"""Which published file a file is, or has the name of, and where a missing one comes from."""

import os
from functools import lru_cache
from pathlib import Path, PurePath

from ..checkpoints.errors import MissingModel
from ..files import StrPath, sha256
from .published_files import KNOWN_FILES, KnownFile

MODELS_FOLDER = "face_edit"  # under ComfyUI's models folder
FOLDERS = {  # under that, by the editor's word for what a model does
    "diffusion": "diffusion",
    "identity": "identity",
    "parser": "parsing",
    "gaze": "gaze",
    "lpips": "lpips",
    "landmarks": "landmarks",
    "clip": "clip",
}


def known_file(path: StrPath) -> KnownFile | None:
    """The published file of that name."""
    return next((file for file in KNOWN_FILES if _is_named(path, file)), None)


def identify(path: StrPath) -> KnownFile | None:
    """The published file that a file is, by its SHA-256; None where no hash is its own.

    It is computed only where the size is that of a published file, or where the name is that of one
    of unknown size, and once as long as the file stays the same.
    """
    size = os.path.getsize(path)
    for file in KNOWN_FILES:
        alike = file.size == size or (file.size is None and _is_named(path, file))
        if file.sha256 and alike and file.sha256 == cached_sha256(path):
            return file
    return None


def mismatch_warning(path: StrPath) -> str | None:
    """The warning about a file that has a published one's name and is another; else None."""
    named = known_file(path)
    if named is None or named.sha256 is None or _is_published(path):
        return None
    size = os.path.getsize(path)
    if named.size not in (None, size):
        got = f"{size:,} bytes, not {named.size:,}"
    else:
        got = f"SHA-256 {cached_sha256(path)}"
    return (
        f"{path} is not the published {named.name}: expected SHA-256 {named.sha256}, got {got}; "
        f"fetch it from {named.origin}, or give it a name of its own"
    )


def _is_published(path: StrPath) -> bool:
    """Whether a file is a published one of its name, of which there may be several."""
    known = identify(path)
    names = (known.name, *known.aliases) if known else ()
    return any(PurePath(name).name == PurePath(path).name for name in names)


def cached_sha256(path: StrPath) -> str:
    """The file's SHA-256 in hexadecimal, computed once as long as the file stays the same."""
    status = os.stat(path)
    return _sha256_at(os.fspath(path), status.st_size, status.st_mtime_ns)


@lru_cache
def _sha256_at(path: str, size: int, changed: int) -> str:
    return sha256(path)


def describe_origin(path: StrPath) -> str:
    """Where a file of that name comes from, on what terms, and how to fetch it."""
    file = known_file(path)
    if file is None:
        return "it is no published file: is the name right?"
    published = (
        f"{file.name} is published at {file.origin}, licence {file.licence}, "
        f"SHA-256 {file.sha256 or 'unknown'}"
    )
    if not file.loads:
        return f"{published}; the editor has no network for it: choose another"
    if file.url is None:
        return published
    relative = Path("models", MODELS_FOLDER, FOLDERS[file.kind], file.name).parent.as_posix()
    return f"{published}; comfy model download --url {file.url} --relative-path {relative}"


def missing_model(kind: str, folder: StrPath) -> MissingModel:
    """The error for a folder that has no model of a kind."""
    files = [file for file in KNOWN_FILES if file.kind == kind and file.loads]
    names = " or ".join(file.name for file in files)
    example = next((file for file in files if file.url), files[0])
    return MissingModel(
        f"no {kind} model in {folder}: expected {names}, or a safetensors file of that kind; "
        f"put one there. {describe_origin(example.name)}"
    )


def _is_named(path: StrPath, file: KnownFile) -> bool:
    return any(PurePath(path).match(name) for name in (file.name, *file.aliases))
