"""Writes pickles instruction by instruction, and the containers around them, honest or not."""

import io
import pickle
import struct
import zipfile
from collections.abc import Mapping

MAGIC = pickle.dumps(0x1950A86A20F9469CFC6C, 2)
VERSION = pickle.dumps(1001, 2)
LITTLE = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"int": 4}}
STOP = b"."


def text(value: str) -> bytes:
    encoded = value.encode()
    return b"X" + struct.pack("<I", len(encoded)) + encoded


def number(value: int) -> bytes:
    encoded = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
    return b"\x8a" + bytes([len(encoded)]) + encoded


def named(full: str) -> bytes:
    """A class or a function, by GLOBAL."""
    module, _, name = full.rpartition(".")
    return f"c{module}\n{name}\n".encode()


def many(*parts: bytes) -> bytes:
    """A tuple."""
    return b"(" + b"".join(parts) + b"t"


def numbers(*values: int) -> bytes:
    return many(*map(number, values))


def call(function: str, *arguments: bytes) -> bytes:
    return named(function) + many(*arguments) + b"R"


def new(cls: str, *arguments: bytes) -> bytes:
    """An object of a class, by NEWOBJ."""
    return named(cls) + many(*arguments) + b"\x81"


def table(entries: Mapping[str, bytes]) -> bytes:
    """A dictionary."""
    return b"}(" + b"".join(text(name) + value for name, value in entries.items()) + b"u"


def module(
    parameters: Mapping[str, bytes], modules: Mapping[str, bytes], cls: str = "models.Net"
) -> bytes:
    """A pickled module."""
    parts = {"_parameters": table(parameters), "_buffers": b"}", "_modules": table(modules)}
    return new(cls) + table(parts) + b"b"


def storage(
    numel: int = 6, key: str = "0", kind: str = "torch.FloatStorage", *view: bytes
) -> bytes:
    saved = (text("storage"), named(kind), text(key), text("cpu"), number(numel), *view)
    return many(*saved) + b"Q"


def tensor(
    shape: tuple[int, ...] = (2, 3),
    stride: tuple[int, ...] = (3, 1),
    offset: int = 0,
    stored: bytes | None = None,
) -> bytes:
    view = (number(offset), numbers(*shape), numbers(*stride))
    stored = storage() if stored is None else stored
    hooks = call("collections.OrderedDict")
    return call("torch._utils._rebuild_tensor_v2", stored, *view, b"\x89", hooks)


def program(body: bytes) -> bytes:
    """A whole pickle of protocol 2."""
    return b"\x80\x02" + body + STOP


def zip_file(
    pickled: bytes,
    storages: Mapping[str, bytes] = {"0": bytes(24)},  # noqa: B006  never changed
    more: Mapping[str, bytes] = {"byteorder": b"little"},  # noqa: B006
    compression: int = zipfile.ZIP_STORED,
) -> bytes:
    """An archive as torch writes it, but for alignment."""
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", compression) as archive:
        archive.writestr("archive/data.pkl", pickled)
        for key, data in storages.items():
            archive.writestr(f"archive/data/{key}", data)
        for name, data in more.items():
            archive.writestr(f"archive/{name}", data)
    return held.getvalue()


def legacy_file(
    pickled: bytes,
    storages: Mapping[str, bytes] = {"0": struct.pack("<q", 6) + bytes(24)},  # noqa: B006
    system: bytes | None = None,
    keys: bytes | None = None,
) -> bytes:
    """A file as torch wrote it before 1.6; a storage begins with its number of elements."""
    system = pickle.dumps(LITTLE, 2) if system is None else system
    keys = pickle.dumps(list(storages), 2) if keys is None else keys
    return MAGIC + VERSION + system + pickled + keys + b"".join(storages.values())
