"""Files are written whole or not at all, and known by their SHA-256."""

import hashlib
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


def check_destination(path: str | os.PathLike[str]) -> Path:
    """The real path behind `path`, once it is sure that a file may be put there."""
    real = Path(os.path.realpath(path))
    if not real.parent.is_dir():
        raise FileNotFoundError(f"cannot write {path}: there is no folder {real.parent}")
    if real.exists() and not real.is_file():
        raise FileExistsError(f"cannot write {path}: it exists and is not a regular file")
    return real


@contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yields a temporary path beside `path`; it takes the place of `path` when the block succeeds.

    When the block fails, whatever stood at `path` is untouched and the temporary file is gone.
    """
    real = check_destination(path)
    part = real.with_name(f".{real.name}.{secrets.token_hex(4)}.part")
    try:
        yield part
        os.replace(part, real)
    finally:
        part.unlink(missing_ok=True)


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Writes `text` as UTF-8, whole or not at all."""
    with atomic_write(path) as part:
        part.write_text(text, encoding="utf-8", newline="")


def write_json(path: str | os.PathLike[str], value: Any) -> None:
    """Writes `value` as indented, standard JSON (NaN and infinity are refused)."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


def read_json(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The object in a JSON file."""
    try:
        value = json.loads(Path(path).read_bytes())
    except ValueError as error:
        raise ValueError(f"{path}: expected JSON, got {error}: mend or remove it") from error
    if not isinstance(value, dict):
        raise ValueError(f"{path}: expected a JSON object, got {value!r:.40}: mend or remove it")
    return value


def sha256(path: str | os.PathLike[str]) -> str:
    """The file's SHA-256 in hexadecimal."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
