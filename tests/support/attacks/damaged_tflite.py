"""Flatbuffers of TensorFlow Lite that lie about where and how large their parts are."""

import struct
from collections.abc import Iterator

from ..tflite import Table, Vector, flatbuffer, model_file
from .attack import Attack

WEIGHT = bytes(24)
HONEST = [("w", 0, (2, 3), WEIGHT)]


def damaged_tflite() -> Iterator[Attack]:
    """Each with the reason to refuse it."""
    for name, (content, reason) in _lies().items():
        yield Attack(f"tflite-{name}", content, "DamagedCheckpoint", reason)
    for name, (content, reason) in _others().items():
        yield Attack(f"tflite-{name}", content, "UnsupportedCheckpoint", reason)


def _lies() -> dict[str, tuple[bytes, str]]:
    whole = model_file(HONEST)
    (root,) = struct.unpack_from("<I", whole)
    many = [(str(index), 0, (1 << 20,), bytes(4)) for index in range(9)]
    large = [(str(index), 0, (1024,), b"" if index else bytes(4096)) for index in range(9)]
    return {
        "nothing": (whole[:8], "TFL3|whole tflite"),
        "cut-off": (whole[: len(whole) // 2], "whole tflite"),
        "root-beyond": (_patched(whole, "<I", 0, 1 << 31), "whole tflite"),
        "vtable-before": (_patched(whole, "<i", root, 1 << 30), "stands before the file"),
        "vtable-beyond": (_patched(whole, "<i", root, -(1 << 30)), "whole tflite"),
        "vector-huge": (
            flatbuffer(Table({2: Vector(b"", 1 << 30), 4: Vector(b"")})),
            "reaches beyond the file",
        ),
        "tables-many": (
            flatbuffer(Table({2: Vector(bytes(400_000), 100_000), 4: Vector(b"")})),
            "more than 20,000 tensors",
        ),
        "shape-huge": (model_file([("w", 0, (1 << 30, 1 << 30), WEIGHT)]), "not as large"),
        "shape-small": (model_file([("w", 0, (2, 2), WEIGHT)]), "not as large"),
        "shape-negative": (model_file([("w", 0, (-2, -3), WEIGHT)]), "no shape that can be"),
        "shape-deep": (model_file([("w", 0, (1,) * 64, bytes(4))]), "more dimensions"),
        "shapes-of-one-buffer": (model_file(many, shared=True), "not as large"),
        "one-buffer-for-many": (model_file(large, shared=True), "hold more than the file"),
        "buffer-missing": (model_file([(*HONEST[0], {2: ("I", 7)})]), "whole tflite"),
        "name-long": (model_file([("w" * 501, 0, (2, 3), WEIGHT)]), "more than 500 characters"),
        "name-no-text": (model_file([(b"\xff\xfe", 0, (2, 3), WEIGHT)]), "whole tflite"),
        "name-twice": (model_file([*HONEST, *HONEST]), "have one name"),
    }


def _others() -> dict[str, tuple[bytes, str]]:
    whole, sparse = model_file(HONEST), [(*HONEST[0], {6: Table({0: ("I", 1)})})]
    (root,) = struct.unpack_from("<I", whole)
    return {
        "vtable-itself": (_patched(whole, "<i", root, 0), "expected one graph, got 0"),
        "quantised": (model_file([("w", 9, (24,), WEIGHT)]), "floats, got int8"),
        "sparse": (model_file(sparse), "floats, got sparse"),
        "outside": (model_file(HONEST, outside=True), "got them outside the graph"),
        "two-graphs": (model_file(HONEST, subgraphs=2), "expected one graph, got 2"),
        "no-graph": (model_file(HONEST, subgraphs=0), "expected one graph, got 0"),
    }


def _patched(content: bytes, form: str, place: int, value: int) -> bytes:
    patched = bytearray(content)
    struct.pack_into(form, patched, place, value)
    return bytes(patched)
