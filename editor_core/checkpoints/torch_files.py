"""What torch files hold: zip archives of torch 1.6 and later, and the files of torch before it.

A file is first described: its pickle is read as plain data (`pickles.py`), and each storage is
found in the file. Tensors are then views of the mapped file, whose pages are read when they are
used; only what is misaligned is copied, once.
"""

import io
import math
import mmap
import os
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .archives import open_archive
from .errors import UnsupportedCheckpoint, printable
from .pickles import MAX_INSTRUCTIONS, is_key, read_pickle
from .rebuilders import CALLS, PickledStorage, PickledTensor, pickled_storage
from .state_dicts import find_tensors

MAX_PICKLE = 1 << 24  # bytes
MAGIC = 0x1950A86A20F9469CFC6C
PROTOCOL = 1001
PREAMBLE = 100  # instructions
NUMEL = struct.Struct("<q")
SHARED = 4  # by how much tensors that share storages may be larger than their file
SLACK = 1 << 20  # bytes
ALIGNMENT = 8  # bytes, of the largest number


@dataclass(frozen=True)
class TorchFile:
    """A network as its file describes it, and where in the file each storage is."""

    path: Path
    tensors: Mapping[str, PickledTensor]
    places: Mapping[str, range]  # of bytes

    def load(self) -> dict[str, Tensor]:
        """The tensors; those that share a storage in the file still share it."""
        size = self.path.stat().st_size
        whole = torch.UntypedStorage.from_file(os.fspath(self.path), False, size)
        keys = {tensor.storage.key for tensor in self.tensors.values()}
        with self.path.open("rb") as file:
            storages = {key: _part(file, whole, self.places[key]) for key in keys}
        tensors = {}
        for name, t in self.tensors.items():
            empty: Any = torch.empty(0, dtype=t.storage.dtype)
            start = t.storage.start + t.offset
            tensors[name] = empty.set_(storages[t.storage.key], start, t.shape, t.stride)
        return tensors

    def outline(self) -> dict[str, Tensor]:
        """The tensors without values, on the meta device."""
        return {
            name: torch.empty_strided(t.shape, t.stride, dtype=t.storage.dtype, device="meta")
            for name, t in self.tensors.items()
        }


def read_torch_file(path: Path) -> TorchFile:
    """The network in a torch file; runs nothing, and reads no values.

    Raises `UnsafeCheckpoint`, `UnsupportedCheckpoint`, or one of `reading.DAMAGE`.
    """
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        content, places = _zipped(mapped) if mapped[:2] == b"PK" else _Legacy(mapped).content()
        tensors = find_tensors(content)
        _check(tensors.values(), places, len(mapped))
    return TorchFile(path, tensors, places)


def _check(tensors: Iterable[PickledTensor], places: Mapping[str, range], size: int) -> None:
    """Raises `ValueError` where tensors are larger than their storages, or than a file of `size`.

    Views of one storage may overlap, as tied weights do, but not make much out of little.
    """
    for storage in {tensor.storage for tensor in tensors}:
        end = (storage.start + storage.numel) * storage.dtype.itemsize
        if end > len(places.get(storage.key, ())):
            raise ValueError(f"its storage {printable(storage.key)} is missing or cut off")
    total = sum(math.prod(t.shape) * t.storage.dtype.itemsize for t in tensors)
    if total > SHARED * size + SLACK:
        raise ValueError("its tensors are views that are larger together than the file allows")


def _part(file: io.BufferedReader, whole: Any, place: range) -> torch.UntypedStorage:
    """A storage as a view of the `whole` mapped file, or else as the copy that it must be."""
    if place.start % ALIGNMENT == 0:
        return whole[place.start : place.stop]
    numbers = torch.empty(len(place), dtype=torch.uint8)
    file.seek(place.start)
    file.readinto(numbers.numpy())  # pyright: ignore[reportArgumentType]
    return numbers.untyped_storage()


def _zipped(mapped: mmap.mmap) -> tuple[Any, dict[str, range]]:
    """The object in a zip archive, and where its storages are."""
    archive = open_archive(mapped)
    pickles = [name for name in archive.entries if name.endswith("/data.pkl")]
    if len(pickles) != 1:
        raise ValueError(f"it has {len(pickles)} entries data.pkl, not one")
    folder = pickles[0].removesuffix("data.pkl")
    if f"{folder}constants.pkl" in archive.entries:
        raise UnsupportedCheckpoint("expected tensors, got a TorchScript program: save its weights")
    data, order = f"{folder}data/", f"{folder}byteorder"
    stored = [name for name in archive.entries if name.startswith(data) or name == order]
    places = archive.places([*pickles, *stored])
    if order in places and _bytes(mapped, places[order], 6) != b"little":
        raise ValueError("its numbers are not little-endian")
    pickled = io.BytesIO(_bytes(mapped, places[pickles[0]], MAX_PICKLE))
    content = read_pickle(pickled, CALLS, pickled_storage)
    return content, {name.removeprefix(data): places[name] for name in stored}


def _bytes(mapped: mmap.mmap, place: range, limit: int) -> bytes:
    if len(place) > limit:
        raise ValueError(f"its entry of {len(place):,} bytes should have at most {limit:,}")
    return mapped[place.start : place.stop]


class _Legacy:
    """A file of pickles, one after the other, and the storages after them."""

    def __init__(self, mapped: mmap.mmap) -> None:
        self._mapped = mapped
        self._at = 0
        self._declared: dict[str, PickledStorage] = {}

    def content(self) -> tuple[Any, dict[str, range]]:
        """The object that was saved, and where its storages are."""
        if self._mapped[257:262] == b"ustar":
            raise UnsupportedCheckpoint("expected a torch file, got a tar archive: unpack it")
        if self._pickle() != MAGIC or self._pickle(PREAMBLE) != PROTOCOL:
            raise ValueError("it does not begin as torch files do")
        system = self._pickle(PREAMBLE)
        if not isinstance(system, dict) or system.get("little_endian") is not True:
            raise ValueError("its numbers are not little-endian")
        content = self._pickle()
        keys = self._pickle(PREAMBLE + 3 * len(self._declared))
        names = list(filter(is_key, keys)) if isinstance(keys, list) else []
        if len(names) != len(self._declared) or set(names) != self._declared.keys():
            raise ValueError("its storages are not those of its tensors")
        return content, {key: self._place(key) for key in names}  # in the order of the file

    def _pickle(self, instructions: int = MAX_INSTRUCTIONS) -> Any:
        stream = io.BytesIO(self._mapped[self._at : self._at + MAX_PICKLE])
        value = read_pickle(stream, CALLS, self._stored, instructions)
        self._at += stream.tell()
        return value

    def _stored(self, saved: Any) -> Any:
        found = pickled_storage(saved)
        if isinstance(found, PickledStorage):
            self._declared[found.key] = pickled_storage(saved[:5])  # without its view
        return found

    def _place(self, key: str) -> range:
        """Where the next storage is, after its number of elements."""
        storage = self._declared[key]
        (numel,) = NUMEL.unpack_from(self._mapped, self._at)
        start = self._at + NUMEL.size
        self._at = start + numel * storage.dtype.itemsize
        if numel != storage.numel or self._at > len(self._mapped):
            raise ValueError(f"its storage {printable(key)} is not as large as it should be")
        return range(start, self._at)
