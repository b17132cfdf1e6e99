"""The networks whose ONNX graphs are known, and the names that their tensors have here.

Each walk takes the operations of one architecture in their order; whatever else is in a graph is
refused. Names are those of the networks in `models`, in their form without batch normalisation
after convolutions.
"""

import mmap
from collections.abc import Callable, Mapping
from pathlib import Path

from torch import Tensor

from .errors import UnsupportedCheckpoint, printable
from .onnx_files import read_graph
from .onnx_graphs import OtherNetwork, Walk, Wiring


def read_onnx_file(path: Path) -> dict[str, Tensor]:
    """The tensors of a known network in an ONNX file, under the names of that network.

    Raises `UnsupportedCheckpoint`, or one of `reading.DAMAGE`.
    """
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        return name_tensors(Wiring(read_graph(mapped)))


def name_tensors(wiring: Wiring) -> dict[str, Tensor]:
    """The tensors of a graph under the names of the network that it is."""
    furthest, reason = -1, ""
    for name, follow in NETWORKS.items():
        walk = Walk(wiring)
        try:
            follow(walk)
            return walk.finish()
        except OtherNetwork as error:
            if walk.taken > furthest:
                furthest, reason = walk.taken, f"{name}: {error}"
    found = ", ".join(f"{count} {printable(op)}" for op, count in wiring.steps.most_common(5))
    raise UnsupportedCheckpoint(
        f"expected the graph of one of {', '.join(NETWORKS)}, got another ({found or 'empty'}; "
        f"nearest is {reason}): choose a file of a supported network"
    )


def _insightface(walk: Walk) -> None:
    """The stages begin with a block whose shortcut is convolved; the last value goes one way."""
    walk.picture()
    walk.conv("conv1", padding=1)
    walk.prelu("prelu")
    stage = block = 0
    while walk.forks():
        first = walk.next_is("Conv")
        stage, block = (stage + 1, 0) if first else (stage, block + 1)
        _insightface_block(walk, f"layer{stage}.{block}", first)
    walk.norm("bn2")
    walk.flatten()
    walk.linear("fc")


def _insightface_block(walk: Walk, name: str, first: bool) -> None:
    start = walk.at
    walk.norm(f"{name}.bn1")
    walk.conv(f"{name}.conv1", padding=1)
    walk.prelu(f"{name}.prelu")
    walk.conv(f"{name}.conv2", stride=2 if first else 1, padding=1)
    if not first:
        walk.add(start)
        return
    end = walk.go_to(start)
    walk.conv(f"{name}.downsample.0", stride=2)
    walk.add(end)


def _mobilefacenet(walk: Walk) -> None:
    walk.picture()
    _unit(walk, "layers.0", stride=2, padding=1)
    if walk.forks():
        _residual(walk, "layers.1")
    else:
        _unit(walk, "layers.1", padding=1, grouped=True)
    for index in (2, 4, 6):
        _bottleneck(walk, f"layers.{index}", stride=2)
        _residual(walk, f"layers.{index + 1}")
    _unit(walk, "conv_sep")
    walk.conv("features.layers.0.layers.0", grouped=True)
    walk.flatten()
    walk.linear("features.layers.2")


def _unit(walk: Walk, name: str, stride: int = 1, padding: int = 0, grouped: bool = False) -> None:
    walk.conv(f"{name}.layers.0", stride, padding, grouped)
    walk.prelu(f"{name}.layers.2")


def _bottleneck(walk: Walk, name: str, stride: int = 1) -> None:
    _unit(walk, f"{name}.layers.0")
    _unit(walk, f"{name}.layers.1", stride, padding=1, grouped=True)
    walk.conv(f"{name}.layers.2.layers.0")


def _residual(walk: Walk, name: str) -> None:
    block = 0
    while walk.forks():
        start = walk.at
        _bottleneck(walk, f"{name}.layers.{block}")
        walk.add(start)
        block += 1


def _sface(walk: Walk) -> None:
    """Where the width grows, but for the first block, the size is halved."""
    walk.picture()
    walk.conv("stem.conv", padding=1)
    walk.prelu("stem.prelu")
    block = 0
    while walk.next_is("Conv"):
        name, channels = f"blocks.{block}", walk.channels
        stride = walk.conv(f"{name}.depthwise", stride=None, padding=1, grouped=True)
        walk.prelu(f"{name}.prelu1")
        walk.conv(f"{name}.pointwise")
        walk.prelu(f"{name}.prelu2")
        walk.expect("strides", stride, 2 if block and walk.channels > channels else 1)
        block += 1
    walk.norm("norm")
    walk.flatten()
    walk.linear("fc")


NETWORKS: Mapping[str, Callable[[Walk], None]] = {
    "insightface ResNet": _insightface,
    "MobileFaceNet": _mobilefacenet,
    "SFace": _sface,
}
