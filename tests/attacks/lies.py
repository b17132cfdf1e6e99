"""Files that lie about sizes and places, or would take time or memory without end."""

import itertools
import json
import pickle
import struct
import zipfile
from collections.abc import Iterator

from ..pickled import (
    LITTLE,
    MAGIC,
    VERSION,
    call,
    legacy_file,
    many,
    module,
    named,
    new,
    number,
    program,
    storage,
    table,
    tensor,
    text,
    zip_file,
)
from .attack import Attack


def lies() -> Iterator[Attack]:
    """Of every container."""
    return itertools.chain(_bad_pickles(), _bad_legacy_files(), _bad_archives(), _bad_headers())


def _bad_pickles() -> Iterator[Attack]:
    again, memo = b"h\x00", b"q\x00"
    chain = b"".join(b"0}" + text("a") + b"h\x00s" + memo for _ in range(20_000))
    doubled = b"".join(module({}, {"a": again, "b": again}) + memo + b"0" for _ in range(60))
    pairs = b"".join(b"](" + again * 2 + b"e" + memo + b"0" for _ in range(60))
    long = "n" * 400
    part = many(text("view"), number(4), number(9))
    network = "expected a network or a dictionary of tensors"
    twisted = {
        "shape-huge": (tensor((1 << 40, 3)), "ends beyond its storage 0"),
        "shape-beyond-numbers": (tensor((1 << 64, 3)), "no number that can be"),
        "shape-negative": (tensor((-2, 3)), "no number that can be"),
        "shape-of-many-dimensions": (tensor((1,) * 99, (1,) * 99), "at most 8 dimensions"),
        "shape-unlike-strides": (tensor((2, 3), (1,)), "zip()"),
        "stride-huge": (tensor(stride=(1 << 60, 1)), "ends beyond its storage 0"),
        "stride-negative": (tensor(stride=(-3, 1)), "no number that can be"),
        "offset-beyond": (tensor(offset=1), "ends beyond its storage 0"),
        "offset-negative": (tensor(offset=-1), "no number that can be"),
        "expanded": (tensor((1 << 40,), (0,)), "larger together than the file allows"),
        "storage-huge": (tensor(stored=storage(1 << 60)), "storage 0 is missing or cut off"),
        "storage-negative": (tensor(stored=storage(-1)), "no number that can be"),
        "storage-missing": (tensor(stored=storage(key="7")), "storage 7 is missing or cut off"),
        "storage-part-beyond": (
            tensor(stored=storage(6, "0", "torch.FloatStorage", part)),
            "a part of storage 0 ends beyond it",
        ),
        "storage-none": (tensor(stored=b"N"), "a tensor has no storage"),
        "parameter-none": (
            call("torch._utils._rebuild_parameter", b"N", b"\x88", b"N"),
            "a parameter has no tensor",
        ),
    }
    bodies = {
        **{name: (table({"w": body}), reason) for name, (body, reason) in twisted.items()},
        "memo-far": (b"Np99999999999999\n", "remembers objects at absurd places"),
        "memo-before": (b"Np-1\n", "remembers objects at absurd places"),
        "memo-missing": (b"h\x07", "7"),
        "memo-of-nothing": (b"q\x00", "out of range"),
        "instructions": (named("a.b") * 300_000, "more than 200,000 instructions"),
        "copies": (
            b"](" + b"N" * 10_000 + b"e" + memo + (call("builtins.list", again) + b"0") * 20_000,
            "copies more than 500,000 values",
        ),
        "list-of-letters": (call("builtins.list", text("a" * (1 << 23))), "is made of a str"),
        "text-of-exabytes": (b"\x8d" + struct.pack("<Q", 1 << 62) + b"a", "unicodestring8"),
        "bytes-of-gigabytes": (b"B" + struct.pack("<I", 0xFFFFFFF0) + b"a", "bytes4"),
        "bytearray-of-terabytes": (b"\x96" + struct.pack("<Q", 1 << 40) + b"a", "bytearray8"),
        "number-of-gigabytes": (b"\x8b" + struct.pack("<i", 0x7FFFFFFF) + b"a", "long4"),
        "number-of-digits": (b"I" + b"9" * 1_000_000 + b"\n", "integer string|invalid literal"),
        "stack-empty": (b"0", "takes from an empty stack"),
        "mark-missing": (b"t", "pop from empty list"),
        "instruction-unknown": (b"\xff", "unknown"),
        "module-in-itself": (
            new("models.Net") + memo + table({"_modules": table({"a": again})}) + b"b",
            "stand in each other without end",
        ),
        "modules-doubled": (
            module({}, {}) + memo + b"0" + doubled + again,
            "more than 50,000 members",
        ),
        "module-names-without-end": (
            module({}, {long: module({}, {long: module({}, {})})}),
            "stand in each other without end",
        ),
        "module-of-no-tensors": (module({"weight": b"K\x01"}, {}), "weight is no tensor"),
        "module-of-no-modules": (module({}, {"a": b"K\x01"}), r"no module stands at a\."),
        "modules-not-saved-in-a-list": (
            new("models.Net")
            + table({"_parameters": table({"a": tensor()}), "_non_persistent_buffers_set": b"]"})
            + b"b",
            "cannot be read",
        ),
    }
    for name, (body, reason) in bodies.items():
        yield Attack(name, zip_file(program(body)), "DamagedCheckpoint", reason)
    deep = {
        "lists-nested": (b"]" * 90_000 + b"a" * 89_999, "got a list"),
        "tuples-nested": (b")" + b"\x85" * 190_000, "got a tuple"),
        "tuples-nested-as-a-key": (b"})" + b"\x85" * 190_000 + b"Ns", "got a dictionary of"),
        "dictionaries-nested": (b"}" + memo + chain, "got a dictionary of a"),
        "dictionary-in-itself": (
            b"}" + memo + b"(" + text("model") + again + text("net") + again + b"u",
            "got a dictionary of model, net",
        ),
        "lists-doubled": (b"]" + memo + b"0" + pairs + again, "got a list"),
        "keys-of-one-hash": (
            b"}(" + b"".join(number(n * ((1 << 61) - 1)) + b"N" for n in range(60_000)) + b"u",
            "got a dictionary of",
        ),
        "message-in-control": (table({"\x1b[2J": b"N"}), r"got a dictionary of \\x1b\[2J"),
    }
    for name, (body, reason) in deep.items():
        content = zip_file(program(body))
        yield Attack(name, content, "UnsupportedCheckpoint", f"{network}.*{reason}")
    endless = zip_file(program(new("a" * 600 + ".B")))
    yield Attack("name-without-end", endless, "UnsafeCheckpoint", "by an absurdly long name")
    yield Attack("no-stop", zip_file(b"\x80\x02N"), "DamagedCheckpoint", "exhausted before")


def _bad_legacy_files() -> Iterator[Attack]:
    weight = program(table({"w": tensor()}))
    large = program(table({"w": tensor(stored=storage(1 << 60))}))
    two = program(many(tensor(), tensor(stored=storage(key="1"))))
    held = struct.pack("<q", 6) + bytes(24)
    nested = b"\x80\x02]((" + b")" + b"\x85" * 190_000 + b"e."
    files = {
        "legacy-big-endian": (
            legacy_file(weight, system=pickle.dumps({**LITTLE, "little_endian": False}, 2)),
            "not little-endian",
        ),
        "legacy-cut-off": (legacy_file(weight)[:-1], "storage 0 is not as large"),
        "legacy-no-storage": (legacy_file(weight, {}), "not those of its tensors"),
        "legacy-storage-lies": (
            legacy_file(weight, {"0": struct.pack("<q", 1 << 60)}),
            "storage 0 is not as large",
        ),
        "legacy-storage-huge": (
            legacy_file(large, {"0": struct.pack("<q", 1 << 60)}),
            "storage 0 is not as large",
        ),
        "legacy-storage-negative": (
            legacy_file(weight, {"0": struct.pack("<q", -6)}),
            "storage 0 is not as large",
        ),
        "legacy-other-keys": (legacy_file(weight, {"9": held}), "9"),
        "legacy-keys-twice": (
            legacy_file(two, {"0": held}, keys=pickle.dumps(["0", "0"], 2)),
            "unpack_from|not as large",
        ),
        "legacy-keys-nested": (legacy_file(weight, keys=nested), "instructions"),
        "legacy-keys-no-text": (
            legacy_file(weight, keys=pickle.dumps([((0,),)], 2)),
            "not those of its tensors",
        ),
        "legacy-other-version": (MAGIC + MAGIC + VERSION, "does not begin as torch files do"),
        "bare-pickle-of-a-list": (pickle.dumps([1], 2), "does not begin as torch files do"),
    }
    for name, (content, reason) in files.items():
        yield Attack(name, content, "DamagedCheckpoint", reason)
    tape = bytes(257) + b"ustar" + bytes(250)
    yield Attack("tape-archive", tape, "UnsupportedCheckpoint", "got a tar archive")


def _bad_archives() -> Iterator[Attack]:
    weight = program(table({"w": tensor()}))
    two = {"0": bytes(24), "1": bytes(24)}
    whole = zip_file(weight)
    local = struct.pack("<4s5H3L2H", b"PK\x03\x04", 20, 0, 0, 0, 0, 0, 24, 24, 14, 0)
    hidden = zip_file(weight, {"0": local + b"archive/data/1" + bytes(24), "1": bytes(24)})
    end = whole.rindex(b"PK\x05\x06")
    start = struct.unpack_from("<L", whole, end + 16)[0]
    count_64 = struct.pack(
        "<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, 1 << 40, 1 << 40, 9, start
    )
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, end, 1)
    files = {
        "zip-of-a-bomb": (
            zip_file(program(text("a" * (1 << 22))), compression=zipfile.ZIP_DEFLATED),
            "compressed or encrypted",
        ),
        "zip-of-a-compressed-storage": (
            zip_file(weight, {"0": bytes(1 << 22)}, compression=zipfile.ZIP_DEFLATED),
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
            zip_file(weight, two).replace(b"archive/data/1", b"archive/data/0"),
            "two entries archive/data/0",
        ),
        "zip-out-of-the-folder": (
            zip_file(weight, more={"../../evil": b""}),
            r"archive/\.\./\.\./evil points out of the archive",
        ),
        "zip-from-the-root": (
            whole.replace(b"archive/", b"/rchive/"),
            "/rchive/data.pkl points out of the archive",
        ),
        "zip-of-backslashes": (whole.replace(b"archive/", b"archiv\\/"), "points out of"),
        "zip-two-pickles": (zip_file(weight, more={"a/data.pkl": weight}), "2 entries data.pkl"),
        "zip-no-pickle": (whole.replace(b"data.pkl", b"data.pkx"), "0 entries data.pkl"),
        "zip-large-pickle": (zip_file(bytes((1 << 24) + 1)), "should have at most 16,777,216"),
        "zip-big-endian": (zip_file(weight, more={"byteorder": b"big"}), "not little-endian"),
        "zip-no-order": (zip_file(weight, more={"byteorder": bytes(1 << 20)}), "at most 6"),
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
            whole[:end] + count_64 + locator + whole[end:],
            "entries is too large",
        ),
        "zip-64-nowhere": (
            whole[:end] + locator[:8] + struct.pack("<QL", 1 << 63, 1) + whole[end:],
            "cannot be read",
        ),
    }
    for name, (content, reason) in files.items():
        yield Attack(name, content, "DamagedCheckpoint", reason)
    script = zip_file(weight, more={"constants.pkl": b")."})
    yield Attack("torchscript", script, "UnsupportedCheckpoint", "got a TorchScript program")


def _patched(archive: bytes, name: str, at: int, layout: str, *values: int) -> bytes:
    """An archive with other values in the directory's header of an entry."""
    title = archive.rindex(f"archive/{name}".encode())
    at += title - 46
    return archive[:at] + struct.pack(layout, *values) + archive[at + struct.calcsize(layout) :]


def _bad_headers() -> Iterator[Attack]:
    def entry(shape: list[int], *offsets: int, dtype: str = "F32") -> dict[str, object]:
        return {"dtype": dtype, "shape": shape, "data_offsets": offsets}

    weight = entry([2, 3], 0, 24)
    lies = {
        "header-offsets-beyond": {"w": entry([1 << 20], 0, 1 << 22)},
        "header-offsets-backwards": {"w": entry([2, 3], 24, 0)},
        "header-offsets-overlap": {"a": weight, "b": entry([2, 2], 8, 24)},
        "header-hole": {"w": entry([2, 2], 8, 24)},
        "header-shape-lies": {"w": entry([1 << 40, 1 << 20], 0, 24)},
        "header-shape-overflows": {"w": entry([1 << 63, 4], 0, 24)},
        "header-shape-negative": {"w": entry([-2, -3], 0, 24)},
        "header-type-unknown": {"w": entry([2, 3], 0, 24, dtype="os.system")},
        "header-no-offsets": {"w": {"dtype": "F32", "shape": [2, 3]}},
    }
    for name, header in lies.items():
        content = _safetensors(json.dumps(header).encode())
        yield Attack(name, content, "DamagedCheckpoint", "expected a whole safetensors file")
    whole = _safetensors(json.dumps({"w": weight}).encode())
    files = {
        "header-of-exabytes": (b"\xff" * 8 + whole[8:], "is too large"),
        "header-of-gigabytes": (struct.pack("<Q", 1 << 30) + whole[8:], "is too large"),
        "header-of-megabytes": (_safetensors(b"{" + b"[" * (5 << 20)), "is too large"),
        "header-longer-than-the-file": (struct.pack("<Q", 4000) + whole[8:], "safetensors file"),
        "header-nested": (_safetensors(b'{"w":' + b"[" * (1 << 20)), "safetensors file"),
        "header-of-many-tensors": (
            _safetensors(b'{"":{},' + b'"a":[],' * 500_000 + b'"w":{}}'),
            "safetensors file",
        ),
        "header-no-json": (_safetensors(b"{" + b"\xff" * 40), "safetensors file"),
    }
    for name, (content, reason) in files.items():
        yield Attack(name, content, "DamagedCheckpoint", reason)


def _safetensors(header: bytes, data: bytes = bytes(24)) -> bytes:
    return struct.pack("<Q", len(header)) + header + data
