"""Pickles of false sizes, or that would take time or memory without end."""

import struct
from collections.abc import Iterator, Mapping
from dataclasses import replace

from ..pickled import (
    call,
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

Bodies = Mapping[str, tuple[bytes, str]]  # what a pickle holds, and the reason to refuse it

MEMO, AGAIN = b"q\x00", b"h\x00"


def damaged_pickles() -> Iterator[Attack]:
    """Of every sort."""
    yield from _zipped(_tensors(), "DamagedCheckpoint")
    yield from _zipped(_instructions(), "DamagedCheckpoint")
    yield from _zipped(_modules(), "DamagedCheckpoint")
    whole, tenth = (_zipped(_nests(part), "UnsupportedCheckpoint") for part in (10, 1))
    for attack, short in zip(whole, tenth, strict=True):
        yield replace(attack, short=short.content)
    names = {
        "name-without-end": (new("a" * 600 + ".B"), "by an absurdly long name"),
        "storage-of-a-long-name": (storage(key="a" * 600), "a persistent id that is no storage"),
    }
    yield from _zipped(names, "UnsafeCheckpoint")


def _zipped(bodies: Bodies, error: str) -> Iterator[Attack]:
    for name, (body, reason) in bodies.items():
        yield Attack(name, zip_file(program(body)), error, reason)


def _tensors() -> Bodies:
    part = many(text("view"), number(4), number(9))
    tensors = {
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
    return {name: (table({"w": body}), reason) for name, (body, reason) in tensors.items()}


def _instructions() -> Bodies:
    return {
        "memo-far": (b"Np99999999999999\n", "remembers objects at absurd places"),
        "memo-before": (b"Np-1\n", "remembers objects at absurd places"),
        "memo-scattered": (b"Nr\x00\x00\x00\x80", "remembers objects at absurd places"),
        "memo-missing": (b"h\x07", "recalls what it does not remember"),
        "memo-of-nothing": (b"q\x00", "takes from an empty stack"),
        "instructions": (b"\x8f" * 300_000, "more than 250,000 instructions"),
        "names": (named("a.b") * 200_000, "names more than 10,000 classes"),
        "copies": (
            b"](" + b"N" * 10_000 + b"e" + MEMO + (call("builtins.list", AGAIN) + b"0") * 20_000,
            "copies more than 500,000 values",
        ),
        "arguments-of-letters": (
            call(
                "torch._tensor._rebuild_from_type_v2",
                *(named("torch._utils._rebuild_parameter"), b"N", text("a" * (1 << 23)), b"N"),
            ),
            "arguments that are no tuple",
        ),
        "list-of-letters": (call("builtins.list", text("a" * (1 << 23))), "is made of a str"),
        "text-of-exabytes": (b"\x8d" + struct.pack("<Q", 1 << 62) + b"a", "unicodestring8"),
        "bytes-of-gigabytes": (b"B" + struct.pack("<I", 0xFFFFFFF0) + b"a", "bytes4"),
        "bytearray-of-terabytes": (b"\x96" + struct.pack("<Q", 1 << 40) + b"a", "bytearray8"),
        "number-of-gigabytes": (b"\x8b" + struct.pack("<i", 0x7FFFFFFF) + b"a", "long4"),
        "number-of-digits": (b"I" + b"9" * 1_000_000 + b"\n", "integer string|invalid literal"),
        "stack-empty": (b"0", "takes from an empty stack"),
        "mark-missing": (b"t", "goes back to a mark that is not there"),
        "instruction-unknown": (b"\xff", "unknown"),
        "no-stop": (b"N(" + text("a")[:-1], "exhausted before seeing STOP"),
    }


def _modules() -> Bodies:
    doubled = b"".join(module({}, {"a": AGAIN, "b": AGAIN}) + MEMO + b"0" for _ in range(60))
    long = "n" * 400
    return {
        "module-in-itself": (
            new("models.Net") + MEMO + table({"_modules": table({"a": AGAIN})}) + b"b",
            "stand in each other without end",
        ),
        "modules-doubled": (
            module({}, {}) + MEMO + b"0" + doubled + AGAIN,
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
            "'set'",
        ),
    }


def _nests(part: int) -> Bodies:
    """What holds no network, however deep one looks: so many tenths of the longest ones."""
    depth = 24_000 * part
    chain = b"".join(b"0}" + text("a") + AGAIN + b"s" + MEMO for _ in range(depth // 12))
    pairs = b"".join(b"](" + AGAIN * 2 + b"e" + MEMO + b"0" for _ in range(60))
    tuples = b")" + MEMO + b"0" + (AGAIN * 2 + b"\x86" + MEMO + b"0") * 60
    long = text("a" * (1 << 22))
    return {
        "lists-nested": (b"]" * (depth // 2) + b"a" * (depth // 2 - 1), "got a list"),
        "tuples-nested": (b")" + b"\x85" * depth, "got a tuple"),
        "tuples-nested-as-a-key": (b"})" + b"\x85" * depth + b"Ns", "got a dictionary of"),
        "dictionaries-nested": (b"}" + MEMO + chain, "got a dictionary of a"),
        "dictionary-in-itself": (
            b"}" + MEMO + b"(" + text("model") + AGAIN + text("net") + AGAIN + b"u",
            "got a dictionary of model, net",
        ),
        "lists-doubled": (b"]" + MEMO + b"0" + pairs + AGAIN, "got a list"),
        "tuples-doubled-as-a-key": (tuples + b"}" + AGAIN + b"Ns", "got a dictionary of"),
        "tuples-doubled-in-a-set": (tuples + b"\x8f(" + AGAIN + b"\x90", "got a set"),
        "tuples-doubled-in-pairs": (
            tuples + call("collections.OrderedDict", b"](" + many(AGAIN, b"N") + b"e"),
            "got a dictionary of",
        ),
        "keys-of-one-hash": (
            b"}(" + b"".join(number(n * ((1 << 61) - 1)) + b"N" for n in range(depth // 4)) + b"u",
            "got a dictionary of",
        ),
        "keys-long-and-equal": (
            (long + b"q\x000" + long + b"q\x010}(") + b"h\x00Nh\x01N" * (depth // 12) + b"u",
            "got a dictionary of",
        ),
        "message-in-control": (table({"\x1b[2J": b"N"}), r"got a dictionary of \\x1b\[2J"),
    }
