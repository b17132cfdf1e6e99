"""Writing files whole or not at all, JSON, and SHA-256."""

import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

StrPath = str | os.PathLike[str]


def check_destination(path: StrPath) -> Path:
    """The path that `path` links to, where a file may be written.

    Raises:
        FileNotFoundError: Its folder does not exist.
        FileExistsError: It is a folder, or anything else than a regular file.
    """
    real = Path(os.path.realpath(path))
    if not real.parent.is_dir():
        raise FileNotFoundError(f"cannot write {path}: there is no folder {real.parent}")
    if real.exists() and not real.is_file():
        raise FileExistsError(f"cannot write {path}: it exists and is not a regular file")
    return real


@contextmanager
def atomic_write(path: StrPath) -> Iterator[Path]:
    """A temporary path beside `path`, which replaces `path` when the block succeeds.

    When the block fails, the file at `path` is untouched and the temporary one is removed.
    """
    real = check_destination(path)
    part = real.with_name(f".{real.name}.{secrets.token_hex(4)}.part")
    try:
        yield part
        os.replace(part, real)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: StrPath) -> Iterator[Path]:
    """A temporary folder beside `path`, which becomes `path` when the block succeeds.

    Raises:
        FileNotFoundError: The folder that it would stand in does not exist.
        FileExistsError: There is something at the path already, other than an empty folder.
    """
    real = check_new_folder(path)
    part = real.with_name(f".{real.name}.{secrets.token_hex(4)}.part")
    part.mkdir()
    try:
        yield part
        if real.exists():
            real.rmdir()
        os.replace(part, real)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def check_new_folder(path: StrPath) -> Path:
    """The path that `path` links to, where `atomic_folder` may make a folder."""
    real = Path(os.path.realpath(path))
    if not real.parent.is_dir():
        raise FileNotFoundError(f"cannot write {path}: there is no folder {real.parent}")
    if real.exists() and (not real.is_dir() or any(real.iterdir())):
        raise FileExistsError(f"{path} is there already: name another, or take it away")
    return real


def write_text(path: StrPath, text: str) -> None:
    """Write `text` as UTF-8, whole or not at all."""
    with atomic_write(path) as part:
        part.write_text(text, encoding="utf-8", newline="")


def write_json(path: StrPath, value: Any) -> None:
    """Write `value` as indented, standard JSON; NaN and infinity raise `ValueError`."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


def read_json(path: StrPath) -> dict[str, Any]:
    """The object in a JSON file; `ValueError` where it holds anything else."""
    return parse_json(Path(path).read_bytes(), path)


def parse_json(text: str | bytes, source: StrPath) -> dict[str, Any]:
    """The object in a JSON text; `source` is the file that an error names."""
    try:
        value, problem = json.loads(text), ""
    except (ValueError, RecursionError) as error:
        value, problem = None, f" ({error})"
    if not isinstance(value, dict):
        raise ValueError(
            f"{source}: expected a JSON object, got {text[:40]!r}{problem}: mend or remove it"
        )
    return value


def sha256(path: StrPath) -> str:
    """The file's SHA-256 in hexadecimal."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
