"""LPIPS (Zhang et al. 2018): the perceptual distance of two pictures, by a classifier's features.

The backbone is a file of torchvision's layout, never a download. The heads are read from the
`lpips` package without importing it, which would import torchvision: seconds for no more than this.
"""

from collections.abc import Iterable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Backbone = Literal["vgg", "alex", "squeeze"]

LAST_LAYERS: dict[Backbone, str] = {  # deepest features used; an earlier one rules out the later
    "squeeze": "features.12.squeeze.weight",
    "vgg": "features.28.weight",
    "alex": "features.10.weight",
}
COMPARED: dict[Backbone, tuple[int, ...]] = {  # the layers whose outputs are
    "squeeze": (1, 4, 7, 9, 10, 11, 12),
    "vgg": (3, 8, 15, 22, 29),
    "alex": (1, 4, 7, 9, 11),
}
SHIFT, SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)  # ImageNet's, of [-1, 1]


class Lpips(nn.Module):
    """The perceptual distance of pictures.

    Args:
        net: The classifier's architecture.
        backbone: A torchvision state dict (`features.0.weight`, ...); its classifier is not used.
        heads: Weigh the features by the package's heads. Without them the squared differences
            are summed, for a backbone that the published heads were not fitted to.
    """

    def __init__(self, net: Backbone, backbone: Mapping[str, Tensor], heads: bool = True) -> None:
        super().__init__()
        with torch.device("meta"):  # building it draws no random numbers
            self.backbone = backbone_layers(net)
        names = self.backbone.state_dict()
        tensors = {name: backbone[f"features.{name}"].float() for name in names}
        self.backbone.load_state_dict(tensors, assign=True)
        self.compared = COMPARED[net]
        self.heads = nn.ParameterList(_published_heads(net) if heads else [])
        self.register_buffer("shift", torch.tensor(SHIFT).view(3, 1, 1), persistent=False)
        self.register_buffer("scale", torch.tensor(SCALE).view(3, 1, 1), persistent=False)
        self.eval()

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """Pictures (B,3,H,W) in [-1,1], sides of at least 32 -> distances (B,), 0 for the same"""
        return self.distance(self.features(a), self.features(b))

    def features(self, x: Tensor) -> tuple[Tensor, ...]:
        """Pictures (B,3,H,W) in [-1,1] -> for each layer used (B,C,h,w), of unit length in C"""
        x = (x - self.get_buffer("shift")) / self.get_buffer("scale")
        found = []
        for index, layer in enumerate(self.backbone):
            x = layer(x)
            if index in self.compared:
                found.append(x)
        return tuple(each / (each.square().sum(1, keepdim=True).sqrt() + 1e-10) for each in found)

    def distance(self, a: Sequence[Tensor], b: Sequence[Tensor]) -> Tensor:
        """Features of two batches -> their distances (B,)"""
        squares = [(x - y).square() for x, y in zip(a, b, strict=True)]
        if len(self.heads):
            weighed = [F.conv2d(x, head) for x, head in zip(squares, self.heads, strict=True)]
        else:
            weighed = [each.sum(1, keepdim=True) for each in squares]
        return torch.stack([each.mean((1, 2, 3)) for each in weighed]).sum(0)


def detect_backbone(names: Iterable[str]) -> Backbone:
    """Which backbone a torchvision state dict is of, from its names."""
    present = set(names)
    for net, layer in LAST_LAYERS.items():
        if layer in present:
            return net
    raise ValueError(f"expected a backbone with one of {', '.join(LAST_LAYERS.values())}, got none")


def backbone_layers(net: Backbone) -> nn.Sequential:
    """The layers of a classifier up to the last one compared, numbered as torchvision does."""
    layers = {"squeeze": _squeezenet, "vgg": _vgg, "alex": _alexnet}[net]()
    return nn.Sequential(*layers[: COMPARED[net][-1] + 1])


class _Fire(nn.Module):
    """SqueezeNet's block (Iandola et al. 2016): few channels, seen by small and larger filters."""

    def __init__(self, channels: int, squeezed: int, expanded: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(channels, squeezed, 1)
        self.expand1x1 = nn.Conv2d(squeezed, expanded, 1)
        self.expand3x3 = nn.Conv2d(squeezed, expanded, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu_(self.squeeze(x))
        return torch.cat([F.relu_(self.expand1x1(x)), F.relu_(self.expand3x3(x))], 1)


def _squeezenet() -> list[nn.Module]:
    layers: list[nn.Module] = [nn.Conv2d(3, 64, 3, 2), nn.ReLU(inplace=True)]
    channels = 64
    for blocks in (((16, 64),) * 2, ((32, 128),) * 2, ((48, 192),) * 2 + ((64, 256),) * 2):
        layers.append(nn.MaxPool2d(3, 2, ceil_mode=True))
        for squeezed, expanded in blocks:
            layers.append(_Fire(channels, squeezed, expanded))
            channels = 2 * expanded
    return layers


def _vgg() -> list[nn.Module]:
    layers: list[nn.Module] = []
    channels = 3
    for width, count in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        for _ in range(count):
            layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU(inplace=True)]
            channels = width
        layers.append(nn.MaxPool2d(2, 2))
    return layers


def _alexnet() -> list[nn.Module]:
    relu, pool = nn.ReLU(inplace=True), nn.MaxPool2d(3, 2)
    return [
        *(nn.Conv2d(3, 64, 11, 4, 2), relu, pool),
        *(nn.Conv2d(64, 192, 5, padding=2), relu, pool),
        *(nn.Conv2d(192, 384, 3, padding=1), relu),
        *(nn.Conv2d(384, 256, 3, padding=1), relu),
        *(nn.Conv2d(256, 256, 3, padding=1), relu),
    ]


def _published_heads(net: Backbone) -> list[Tensor]:  # each (1,C,1,1), in the layers' order
    package = find_spec("lpips")
    if package is None or package.origin is None:
        raise ModuleNotFoundError("LPIPS needs the heads of the package lpips: pip install lpips")
    path = Path(package.origin).parent / "weights" / "v0.1" / f"{net}.pth"
    heads = torch.load(path, map_location="cpu", weights_only=True)
    return [heads[f"lin{k}.model.1.weight"] for k in range(len(COMPARED[net]))]
