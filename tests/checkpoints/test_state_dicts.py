"""The network is found in what scripts save: state dicts under any wrapper, and whole modules."""

import sys
import types
from collections import OrderedDict, defaultdict
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from guided_face_edit.editor_core.checkpoints.reading import read_checkpoint
from guided_face_edit.tests.support.containers import TORCH_SAVERS, assert_same_tensors


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


WEIGHT = {"a.weight": torch.ones(2), "a.bias": torch.zeros(1)}
OTHER = {"a.weight": torch.zeros(2), "a.bias": torch.zeros(1)}
METADATA = OrderedDict(WEIGHT)
METADATA._metadata = OrderedDict({"": {"version": 1}})


@pytest.mark.parametrize("save", TORCH_SAVERS.values(), ids=TORCH_SAVERS)
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
    assert_same_tensors(read_checkpoint(tmp_path / "m").tensors, WEIGHT)


def test_a_prefix_that_only_some_names_have_is_theirs(tmp_path):
    weights = {"module.a": torch.ones(1), "modules.b": torch.ones(1)}
    save_file(weights, tmp_path / "m")
    assert set(read_checkpoint(tmp_path / "m").tensors) == set(weights)


def test_cvlfaces_outer_wrapper_is_none_of_the_network(tmp_path):
    save_file({f"model.net.{name}": tensor for name, tensor in WEIGHT.items()}, tmp_path / "m")
    assert set(read_checkpoint(tmp_path / "m").tensors) == {f"net.{name}" for name in WEIGHT}


class Optimizer:
    """One whose state has parameters for its keys."""

    def __init__(self, network):
        self.state = defaultdict(dict, {p: {"momentum": p * 2} for p in network.parameters()})


def _trained(network):
    """All that a training script holds."""
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


@pytest.mark.parametrize("save", TORCH_SAVERS.values(), ids=TORCH_SAVERS)
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
    assert_same_tensors(got, network.state_dict())
    assert "second.conv.weight" in got
    assert "scratch" not in got
    assert got["first.conv.weight"].data_ptr() == got["second.conv.weight"].data_ptr()
    assert set(sys.modules) == modules


@pytest.mark.parametrize("save", TORCH_SAVERS.values(), ids=TORCH_SAVERS)
def test_modules_of_torch_give_their_state_dict(tmp_path, save):
    network = nn.Sequential(nn.LSTM(2, 3), nn.TransformerEncoderLayer(4, 2, 8), nn.PReLU(3))
    save(network, tmp_path / "m")
    assert_same_tensors(read_checkpoint(tmp_path / "m").tensors, network.state_dict())
