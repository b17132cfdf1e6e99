"""Files whose parts do not fit together, of every container."""

import itertools
import json
import pickle
import struct
import zipfile
from collections.abc import Iterator, Mapping

from ..pickled import (
    LITTLE,
    MAGIC,
    VERSION,
    legacy_file,
    many,
    program,
    storage,
    table,
    tensor,
    text,
    zip_file,
)
from .attack import Attack

Files = Mapping[str, tuple[bytes, str]]  # what a file holds, and the reason to refuse it

WEIGHT = program(table({"w": tensor()}))


def damaged_files() -> Iterator[Attack]:
    """Of every container."""
    damaged = (_legacy_files(), _entries(), _directories(), _headers(), _sizes_of_headers())
    for name, (content, reason) in itertools.chain(*(files.items() for files in damaged)):
        yield Attack(name, content, "DamagedCheckpoint", reason)
    others = {
        "tape-archive": (bytes(257) + b"ustar" + bytes(250), "got a tar archive"),
        "torchscript": (zip_file(WEIGHT, more={"constants.pkl": b")."}), "got a TorchScript"),
    }
    for name, (content, reason) in others.items():
        yield Attack(name, content, "UnsupportedCheckpoint", reason)


def _legacy_files() -> Files:
    large = program(table({"w": tensor(stored=storage(1 << 60))}))
    two = program(many(tensor(), tensor(stored=storage(key="1"))))
    held = struct.pack("<q", 6) + bytes(24)
    nested = b"\x80\x02]((" + b")" + b"\x85" * 190_000 + b"e."
    return {
        "legacy-big-endian": (
            legacy_file(WEIGHT, system=pickle.dumps({**LITTLE, "little_endian": False}, 2)),
            "not little-endian",
        ),
        "legacy-cut-off": (legacy_file(WEIGHT)[:-1], "storage 0 is not as large"),
        "legacy-no-storage": (legacy_file(WEIGHT, {}), "not those of its tensors"),
        "legacy-storage-lies": (
            legacy_file(WEIGHT, {"0": struct.pack("<q", 1 << 60)}),
            "storage 0 is not as large",
        ),
        "legacy-storage-huge": (
            legacy_file(large, {"0": struct.pack("<q", 1 << 60)}),
            "storage 0 is not as large",
        ),
        "legacy-storage-negative": (
            legacy_file(WEIGHT, {"0": struct.pack("<q", -6)}),
            "storage 0 is not as large",
        ),
        "legacy-other-keys": (legacy_file(WEIGHT, {"9": held}), "not those of its tensors"),
        "legacy-keys-twice": (
            legacy_file(two, {"0": held}, keys=pickle.dumps(["0", "0"], 2)),
            "not those of its tensors",
        ),
        "legacy-keys-nested": (legacy_file(WEIGHT, keys=nested), "instructions"),
        "legacy-keys-long": (
            legacy_file(WEIGHT, keys=pickle.dumps(["a" * 600], 2)),
            "not those of its tensors",
        ),
        "legacy-keys-no-text": (
            legacy_file(WEIGHT, keys=pickle.dumps([((0,),)], 2)),
            "not those of its tensors",
        ),
        "legacy-other-version": (MAGIC + MAGIC + VERSION, "does not begin as torch files do"),
        "bare-pickle-of-a-list": (pickle.dumps([1], 2), "does not begin as torch files do"),
    }


def _entries() -> Files:
    two = {"0": bytes(24), "1": bytes(24)}
    whole = zip_file(WEIGHT)
    local = struct.pack("<4s5H3L2H", b"PK\x03\x04", 20, 0, 0, 0, 0, 0, 24, 24, 14, 0)
    hidden = zip_file(WEIGHT, {"0": local + b"archive/data/1" + bytes(24), "1": bytes(24)})
    return {
        "zip-of-a-bomb": (
            zip_file(program(text("a" * (1 << 22))), compression=zipfile.ZIP_DEFLATED),
            "compressed or encrypted",
        ),
        "zip-of-a-compressed-storage": (
            zip_file(WEIGHT, {"0": bytes(1 << 22)}, compression=zipfile.ZIP_DEFLATED),
            "compressed or encrypted",
        ),
        "zip-encrypted": (_patched(whole, "data/0", 8, "<H", 1), "compressed or encrypted"),
        "zip-size-lies": (
            _patched(whole, "data/0", 20, "<2L", 1 << 30, 1 << 30),
            "data/0 ends beyond the entries",
        ),
        "zip-two-sizes": (_patched(whole, "data/0", 24, "<L", 1 << 30), "compressed or encrypted"),
        "zip-entry-elsewhere": (_patched(whole, "data/0", 42, "<L", 0), "not where its directory"),
        "zip-entry-beyond": (_patched(whole, "data/0", 42, "<L", 1 << 31), "cannot be read"),
        "zip-entries-overlap": (
            _patched(hidden, "data/1", 42, "<L", hidden.index(local)),
            "data/1 overlaps another",
        ),
        "zip-two-of-a-name": (
            zip_file(WEIGHT, two).replace(b"archive/data/1", b"archive/data/0"),
            "two entries archive/data/0",
        ),
        "zip-out-of-the-folder": (
            zip_file(WEIGHT, more={"../../evil": b""}),
            r"archive/\.\./\.\./evil points out of the archive",
        ),
        "zip-from-the-root": (
            whole.replace(b"archive/", b"/rchive/"),
            "/rchive/data.pkl points out of the archive",
        ),
        "zip-of-backslashes": (whole.replace(b"archive/", b"archiv\\/"), "points out of"),
        "zip-two-pickles": (zip_file(WEIGHT, more={"a/data.pkl": WEIGHT}), "2 entries data.pkl"),
        "zip-no-pickle": (whole.replace(b"data.pkl", b"data.pkx"), "0 entries data.pkl"),
        "zip-large-pickle": (zip_file(bytes((1 << 24) + 1)), "should have at most 16,777,216"),
        "zip-big-endian": (zip_file(WEIGHT, more={"byteorder": b"big"}), "not little-endian"),
        "zip-no-order": (zip_file(WEIGHT, more={"byteorder": bytes(1 << 20)}), "at most 6"),
    }


def _directories() -> Files:
    whole = zip_file(WEIGHT)
    end = whole.rindex(b"PK\x05\x06")
    (start,) = struct.unpack_from("<L", whole, end + 16)
    sizes = (1 << 40, 1 << 40, 9, start)
    end_64 = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, *sizes)
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, end, 1)
    return {
        "zip-cut-off": (whole[:-30], "its end is missing"),
        "zip-many-entries": (
            whole[: end + 8] + struct.pack("<2H", 60_000, 60_000) + whole[end + 12 :],
            "directory of 60,000 entries is too large",
        ),
        "zip-more-entries-than-there-are": (
            whole[: end + 8] + struct.pack("<2H", 9, 9) + whole[end + 12 :],
            "cannot be read",
        ),
        "zip-directory-elsewhere": (
            whole[: end + 16] + struct.pack("<L", 4) + whole[end + 20 :],
            "its directory is damaged",
        ),
        "zip-64-many-entries": (
            whole[:end] + end_64 + locator + whole[end:],
            "entries is too large",
        ),
        "zip-64-nowhere": (
            whole[:end] + locator[:8] + struct.pack("<QL", 1 << 63, 1) + whole[end:],
            "cannot be read",
        ),
    }


def _patched(archive: bytes, name: str, at: int, layout: str, *values: int) -> bytes:
    """An archive with other values in the directory's header of an entry."""
    title = archive.rindex(f"archive/{name}".encode())
    at += title - 46
    return archive[:at] + struct.pack(layout, *values) + archive[at + struct.calcsize(layout) :]


def _headers() -> Files:
    headers = {
        "header-offsets-beyond": {"w": _entry([1 << 20], 0, 1 << 22)},
        "header-offsets-backwards": {"w": _entry([2, 3], 24, 0)},
        "header-offsets-overlap": {"a": _entry([2, 3], 0, 24), "b": _entry([2, 2], 8, 24)},
        "header-hole": {"w": _entry([2, 2], 8, 24)},
        "header-shape-lies": {"w": _entry([1 << 40, 1 << 20], 0, 24)},
        "header-shape-overflows": {"w": _entry([1 << 63, 4], 0, 24)},
        "header-shape-negative": {"w": _entry([-2, -3], 0, 24)},
        "header-type-unknown": {"w": _entry([2, 3], 0, 24, dtype="os.system")},
        "header-no-offsets": {"w": {"dtype": "F32", "shape": [2, 3]}},
    }
    message = "expected a whole safetensors file"
    return {name: (_safetensors(json.dumps(h).encode()), message) for name, h in headers.items()}


def _sizes_of_headers() -> Files:
    whole = _safetensors(json.dumps({"w": _entry([2, 3], 0, 24)}).encode())
    return {
        "header-of-exabytes": (b"\xff" * 8 + whole[8:], "is too large"),
        "header-of-gigabytes": (struct.pack("<Q", 1 << 30) + whole[8:], "is too large"),
        "header-of-megabytes": (_safetensors(b"{" + b"[" * (5 << 20)), "is too large"),
        "header-longer-than-the-file": (struct.pack("<Q", 4000) + whole[8:], "safetensors file"),
        "header-nested": (_safetensors(b'{"w":' + b"[" * (1 << 20)), "safetensors file"),
        "header-of-many-tensors": (
            _safetensors(b'{"":{},' + b'"a":[],' * 500_000 + b'"w":{}}'),
            "safetensors file",
        ),
        "header-config-nested": (_with_config("[" * 1_000_000), "expected a JSON object, got"),
        "header-config-of-digits": (_with_config("9" * 1_000_000), "expected a JSON object, got"),
        "header-no-json": (_safetensors(b"{" + b"\xff" * 40), "safetensors file"),
    }


def _entry(shape: list[int], *offsets: int, dtype: str = "F32") -> dict[str, object]:
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


def _with_config(config: str) -> bytes:
    header = {"__metadata__": {"config": config}, "w": _entry([2, 3], 0, 24)}
    return _safetensors(json.dumps(header).encode())


def _safetensors(header: bytes, data: bytes = bytes(24)) -> bytes:
    return struct.pack("<Q", len(header)) + header + data
