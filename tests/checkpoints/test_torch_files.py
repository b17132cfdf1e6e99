"""Torch files of every age give what torch itself reads from them."""

import struct
import zipfile

import pytest
import torch
from torch import nn

from guided_face_edit.editor_core.checkpoints.errors import UnsupportedCheckpoint
from guided_face_edit.editor_core.checkpoints.reading import read_checkpoint
from guided_face_edit.tests.support.containers import TORCH_SAVERS, assert_same_tensors
from guided_face_edit.tests.support.pickled import (
    call,
    legacy_file,
    many,
    named,
    number,
    numbers,
    program,
    storage,
    table,
    tensor,
    text,
    zip_file,
)

NUMBERS = torch.tensor([[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]])
HELD = NUMBERS.numpy().tobytes()


@pytest.mark.parametrize("save", [TORCH_SAVERS["zip"], TORCH_SAVERS["legacy"]])
def test_torch_reads_the_same(tmp_path, save):
    base = torch.arange(24.0)
    views = {
        "whole": base,
        "part": base[3:9],
        "rows": base.reshape(4, 6)[1:3],
        "turned": base.reshape(4, 6).t(),
        "steps": base[::5],
        "expanded": base[:3].expand(2, 3),
        "parameter": nn.Parameter(torch.ones(2, 2)),
        "frozen": nn.Parameter(torch.ones(2), requires_grad=False),
        "complex": torch.ones(2, dtype=torch.complex64),
    }
    save(views, tmp_path / "m")
    got = read_checkpoint(tmp_path / "m").tensors
    expected = torch.load(tmp_path / "m", weights_only=True)
    assert_same_tensors(got, expected)
    assert all(got[name].stride() == tensor.stride() for name, tensor in expected.items())
    shared = {got[name].untyped_storage().data_ptr() for name in ("whole", "part", "turned")}
    assert len(shared) == 1
    assert got["whole"].untyped_storage().nbytes() == base.untyped_storage().nbytes()


def test_attributes_of_tensors_are_left_behind(tmp_path):
    marked = torch.ones(2)
    marked.origin = "elsewhere"
    parameter = nn.Parameter(torch.ones(3))
    parameter.group = 1
    torch.save({"a": marked, "b": parameter}, tmp_path / "m")
    assert_same_tensors(read_checkpoint(tmp_path / "m").tensors, {"a": marked, "b": parameter})


def _old_files():
    """Files as torch before 0.4 wrote them, some by Python 2."""
    stored = {"0": struct.pack("<q", 6) + HELD}
    old = (storage(6, "0", "torch.cuda.FloatStorage"), b"K\x00", numbers(2, 3), numbers(3, 1))
    rebuilt = call("torch._utils._rebuild_tensor", *old)
    pairs = b"](](U\x01w" + rebuilt + b"ee"  # text of Python 2
    yield "ordered pairs", legacy_file(program(call("collections.OrderedDict", pairs)), stored)
    parameter = call("torch.nn.parameter.Parameter", rebuilt)
    parameter += many(b"\x88", b"\x89", call("collections.OrderedDict")) + b"b"
    source = many(text("module"), named("old.Net"), text("old.py"), text("class Net:")) + b"Q"
    backend = call("torch.nn.backends.thnn._get_thnn_function_backend")
    members = {"_parameters": table({"w": parameter}), "_buffers": b"}", "_modules": b"}"}
    module = source + b")\x81" + table({"_backend": backend, **members}) + b"b"
    yield "module with its source", legacy_file(program(module), stored)
    part = many(text("view"), number(2), number(6))
    view = tensor(stored=storage(9, "0", "torch.FloatStorage", part))
    longer = struct.pack("<q", 9) + bytes(8) + HELD + bytes(4)
    yield "part of a storage", legacy_file(program(table({"w": view})), {"0": longer})


@pytest.mark.parametrize(("name", "content"), list(_old_files()))
def test_files_of_old_torch(tmp_path, name, content):
    (tmp_path / "m").write_bytes(content)
    assert_same_tensors(read_checkpoint(tmp_path / "m").tensors, {"w": NUMBERS})


def test_files_without_a_byte_order_are_little_endian(tmp_path):
    content = zip_file(program(table({"w": tensor()})), {"0": HELD}, more={})
    (tmp_path / "m").write_bytes(content)
    assert_same_tensors(read_checkpoint(tmp_path / "m").tensors, {"w": NUMBERS})


def test_archives_of_more_than_4_gigabytes(tmp_path, monkeypatch):
    monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 8)  # has the writer take all sizes for large ones
    content = zip_file(program(table({"w": tensor()})), {"0": HELD})
    assert b"PK\x06\x06" in content
    (tmp_path / "m").write_bytes(content)
    assert_same_tensors(read_checkpoint(tmp_path / "m").tensors, {"w": NUMBERS})


def test_a_tensor_to_be_conjugated_is_unsupported(tmp_path):
    torch.save({"a": torch.ones(2, dtype=torch.complex64).conj()}, tmp_path / "m")
    with pytest.raises(UnsupportedCheckpoint, match="got one to be conjugated or negated"):
        read_checkpoint(tmp_path / "m")
