"""Honest files of every container give the tensors that were saved, whoever saved them."""

import pickle
import struct
import sys
import types
import zipfile
from collections import OrderedDict, defaultdict
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from guided_face_edit.editor_core.checkpoints.reading import (
    DamagedCheckpoint,
    UnsupportedCheckpoint,
    read_checkpoint,
    read_metadata,
    read_outline,
)
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


def _save_zip(content, path):
    torch.save(content, path)


def _save_legacy(content, path):
    torch.save(content, path, _use_new_zipfile_serialization=False)


def _save_newer_pickle(content, path):
    torch.save(content, path, pickle_protocol=4)


TORCH = {"zip": _save_zip, "legacy": _save_legacy, "protocol 4": _save_newer_pickle}
CONTAINERS = {**TORCH, "safetensors": save_file}


class Block(nn.Module):
    """A convolution with a function among its attributes."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(2, 2, 3)
        self.act = nn.functional.relu


class Net(nn.Module):
    """All that a module can have: a shared part, and a buffer that is not saved among others."""

    def __init__(self):
        super().__init__()
        self.first = Block()
        self.second = self.first
        self.layers = nn.ModuleList([Block(), nn.BatchNorm2d(2)])
        self.scale = nn.Parameter(torch.rand(3, 1))
        self.register_parameter("bias", None)
        self.register_buffer("table", torch.arange(4))
        self.register_buffer("scratch", torch.zeros(9), persistent=False)


@pytest.fixture
def weights(generator):
    """Tensors of all sorts."""
    return {
        "conv.weight": torch.randn(4, 3, 3, 3, generator=generator),
        "conv.bias": torch.randn(4, generator=generator).half(),
        "norm.weight": torch.randn(5, generator=generator).bfloat16(),
        "norm.double": torch.randn(2, 2, generator=generator).double(),
        "norm.num_batches_tracked": torch.tensor(7),
        "mask": torch.tensor([True, False, True]),
        "levels": torch.arange(6, dtype=torch.uint8).reshape(2, 3),
        "tiny": torch.randn(3, generator=generator).to(torch.float8_e5m2),
        "nothing": torch.empty(0, 3),
    }


def _assert_equal(got, expected):
    assert list(got) == list(expected)
    for name, values in expected.items():
        assert (got[name].shape, got[name].dtype) == (values.shape, values.dtype), name
        assert got[name].tolist() == values.tolist(), name


@pytest.mark.parametrize("save", CONTAINERS.values(), ids=CONTAINERS)
@pytest.mark.parametrize("name", ["model.pt", "model.safetensors", "model"])
def test_what_was_saved_is_read_whatever_its_name(tmp_path, weights, save, name):
    save(weights, tmp_path / name)
    got = read_checkpoint(tmp_path / name).tensors
    _assert_equal(dict(sorted(got.items())), dict(sorted(weights.items())))
    assert not any(tensor.requires_grad for tensor in got.values())


@pytest.mark.parametrize("save", CONTAINERS.values(), ids=CONTAINERS)
def test_an_outline_has_names_shapes_and_types_alone(tmp_path, weights, save):
    save(weights, tmp_path / "m")
    whole, outline = read_checkpoint(tmp_path / "m"), read_outline(tmp_path / "m")
    assert {t.device.type for t in outline.tensors.values()} == {"meta"}
    assert list(outline.tensors) == list(whole.tensors)
    for name, meta in outline.tensors.items():
        values = whole.tensors[name]
        assert (meta.shape, meta.stride()) == (values.shape, values.stride())
        assert meta.dtype == values.dtype


@pytest.mark.parametrize("save", CONTAINERS.values(), ids=CONTAINERS)
def test_tensors_are_ordinary_in_inference_mode_and_their_own(tmp_path, weights, save):
    save(weights, tmp_path / "m")
    before = (tmp_path / "m").read_bytes()
    with torch.inference_mode():
        got = read_checkpoint(tmp_path / "m").tensors
    assert not any(tensor.is_inference() for tensor in got.values())
    got["conv.weight"].requires_grad_().square().sum().backward()
    got["norm.double"].zero_()
    assert (tmp_path / "m").read_bytes() == before


@pytest.mark.parametrize("save", [_save_zip, _save_legacy])
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
    _assert_equal(got, expected)
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
    _assert_equal(read_checkpoint(tmp_path / "m").tensors, {"a": marked, "b": parameter})


WEIGHT = {"a.weight": torch.ones(2), "a.bias": torch.zeros(1)}
OTHER = {"a.weight": torch.zeros(2), "a.bias": torch.zeros(1)}
METADATA = OrderedDict(WEIGHT)
METADATA._metadata = OrderedDict({"": {"version": 1}})


@pytest.mark.parametrize("save", TORCH.values(), ids=TORCH)
@pytest.mark.parametrize(
    "content",
    [
        METADATA,
        {"state_dict": WEIGHT, "epoch": 3, "optimizer": {"state": {0: {"exp_avg": torch.ones(2)}}}},
        {"model": WEIGHT, "lr": np.float64(0.1), "history": np.arange(5.0)},
        {"params": OTHER, "params_ema": WEIGHT},
        {"model": OTHER, "ema": WEIGHT},
        {"ema": 0.999, "model": "resnet18", "net": {"state_dict": METADATA}},
        {"model_state": WEIGHT, "args": {"out": Path("x"), "device": torch.device("cpu")}},
        {"nstack": 3, "best_val_loss": float("inf"), "model_state_dict": WEIGHT},
        [WEIGHT, {"step": 1}, 7],
        (1, {"model": [OTHER["a.bias"], METADATA]}),
        {f"module.{name}": tensor for name, tensor in WEIGHT.items()},
        {"net": {f"module.module._orig_mod.{name}": t for name, t in WEIGHT.items()}},
    ],
)
def test_a_network_is_found_in_what_scripts_save(tmp_path, content, save):
    save(content, tmp_path / "m")
    _assert_equal(read_checkpoint(tmp_path / "m").tensors, WEIGHT)


def test_a_prefix_that_only_some_names_have_is_theirs(tmp_path):
    weights = {"module.a": torch.ones(1), "modules.b": torch.ones(1)}
    save_file(weights, tmp_path / "m")
    assert set(read_checkpoint(tmp_path / "m").tensors) == set(weights)


class Optimizer:
    """One whose state has parameters for its keys."""

    def __init__(self, network):
        self.state = defaultdict(dict, {p: {"momentum": p * 2} for p in network.parameters()})


def _trained(network):
    """All that a script has at hand."""
    optimizer = Optimizer(network)
    return {"epoch": 3, "head": Block(), "optimizer": optimizer, "model": nn.DataParallel(network)}


@pytest.fixture
def vanished(monkeypatch):
    """Saves a network as of a package that is gone afterwards."""

    def saved(save, content, path):
        package = types.ModuleType("vanished")
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, "vanished", package)
            for cls in (Block, Net, Optimizer):
                patch.setattr(cls, "__module__", "vanished")
                setattr(package, cls.__name__, cls)
            save(content, path)

    return saved


@pytest.mark.parametrize("save", TORCH.values(), ids=TORCH)
@pytest.mark.parametrize("wrap", [lambda net: net, nn.DataParallel, _trained])
@pytest.mark.filterwarnings("ignore:Couldn't retrieve source code")
def test_modules_of_packages_that_are_not_here_give_their_state_dict(
    tmp_path, vanished, save, wrap
):
    network = Net()
    vanished(save, wrap(network), tmp_path / "m")
    assert b"vanished" in (tmp_path / "m").read_bytes()
    modules = set(sys.modules)
    got = read_checkpoint(tmp_path / "m").tensors
    _assert_equal(got, network.state_dict())
    assert "second.conv.weight" in got
    assert "scratch" not in got
    assert got["first.conv.weight"].data_ptr() == got["second.conv.weight"].data_ptr()
    assert set(sys.modules) == modules


@pytest.mark.parametrize("save", TORCH.values(), ids=TORCH)
def test_modules_of_torch_give_their_state_dict(tmp_path, save):
    network = nn.Sequential(nn.LSTM(2, 3), nn.TransformerEncoderLayer(4, 2, 8), nn.PReLU(3))
    save(network, tmp_path / "m")
    _assert_equal(read_checkpoint(tmp_path / "m").tensors, network.state_dict())


NUMBERS = torch.tensor([[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]])
HELD = NUMBERS.numpy().tobytes()


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
    _assert_equal(read_checkpoint(tmp_path / "m").tensors, {"w": NUMBERS})


def test_files_without_a_byte_order_are_little_endian(tmp_path):
    content = zip_file(program(table({"w": tensor()})), {"0": HELD}, more={})
    (tmp_path / "m").write_bytes(content)
    _assert_equal(read_checkpoint(tmp_path / "m").tensors, {"w": NUMBERS})


def test_archives_of_more_than_4_gigabytes(tmp_path, monkeypatch):
    monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 8)  # has the writer take all sizes for large ones
    content = zip_file(program(table({"w": tensor()})), {"0": HELD})
    assert b"PK\x06\x06" in content
    (tmp_path / "m").write_bytes(content)
    _assert_equal(read_checkpoint(tmp_path / "m").tensors, {"w": NUMBERS})


def test_a_tensor_to_be_conjugated_is_unsupported(tmp_path):
    torch.save({"a": torch.ones(2, dtype=torch.complex64).conj()}, tmp_path / "m")
    with pytest.raises(UnsupportedCheckpoint, match="got one to be conjugated or negated"):
        read_checkpoint(tmp_path / "m")


@pytest.mark.parametrize("name", ["m", "m.safetensors"])
def test_metadata_is_that_of_the_file_overridden_by_the_sidecar(tmp_path, name):
    header = {"kind": "gaze", "licence": "MIT", "config": '{"size": 3}'}
    save_file({"a": torch.ones(1)}, tmp_path / name, header)
    assert read_metadata(tmp_path / name) == {**header, "config": {"size": 3}}
    (tmp_path / f"{name}.json").write_text('{"kind": "parser", "config": {"size": 4}}')
    expected = {"kind": "parser", "licence": "MIT", "config": {"size": 4}}
    assert read_checkpoint(tmp_path / name).metadata == expected
    assert read_outline(tmp_path / name).config == {"size": 4}


@pytest.mark.parametrize("content", [b"", b"P", b"\x80", b"{}", pickle.dumps({"a": 1})])
def test_other_files_are_damaged_and_have_no_metadata(tmp_path, content):
    (tmp_path / "m").write_bytes(content)
    assert read_metadata(tmp_path / "m") == {"config": {}}
    with pytest.raises(DamagedCheckpoint, match="fetch the file again"):
        read_checkpoint(tmp_path / "m")
