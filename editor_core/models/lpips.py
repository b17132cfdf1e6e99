"""LPIPS (Zhang et al. 2018): the perceptual distance of two pictures, by a classifier's features.

The `lpips` package does the work; the backbone's weights come from a file, never from a download.
"""

import re
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

Backbone = Literal["vgg", "alex", "squeeze"]

LAST_LAYERS: dict[Backbone, str] = {  # deepest features used; an earlier one rules out the later
    "squeeze": "features.12.squeeze.weight",
    "vgg": "features.28.weight",
    "alex": "features.10.weight",
}


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
        self.network: Any = _empty_network(net, heads)
        names = self.network.state_dict()
        published = {**backbone, **_scaling(), **(_published_heads(net) if heads else {})}
        tensors = {name: published[_published_name(name)].float() for name in names}
        self.network.load_state_dict(tensors, assign=True)
        self.eval()  # the heads have dropout

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """Pictures (B,3,H,W) in [-1,1], sides of at least 32 -> distances (B,), 0 for the same"""
        return self.distance(self.features(a), self.features(b))

    def features(self, x: Tensor) -> tuple[Tensor, ...]:
        """Pictures (B,3,H,W) in [-1,1] -> for each layer used (B,C,h,w), of unit length in C"""
        from lpips import normalize_tensor

        layers = self.network.net(self.network.scaling_layer(x))
        return tuple(normalize_tensor(layer) for layer in layers)

    def distance(self, a: Sequence[Tensor], b: Sequence[Tensor]) -> Tensor:
        """Features of two batches -> their distances (B,)"""
        squares = [(x - y).square() for x, y in zip(a, b, strict=True)]
        if self.network.lpips:
            weighed = [head(each) for head, each in zip(self.network.lins, squares, strict=True)]
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


def _empty_network(net: Backbone, heads: bool) -> nn.Module:
    """The package's network without values, so that building it draws no random numbers."""
    import lpips

    with torch.device("meta"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the package's use of torchvision is deprecated there
        return lpips.LPIPS(
            net=net, pretrained=False, pnet_rand=True, lpips=heads, pnet_tune=True, verbose=False
        )


def _published_name(name: str) -> str:
    """The published files' name for a tensor of the package's network."""
    return re.sub(r"^net\.slice\d+\.", "features.", name.replace("lins.", "lin"))


def _scaling() -> dict[str, Tensor]:
    import lpips

    values = lpips.ScalingLayer().state_dict()
    return {f"scaling_layer.{name}": value for name, value in values.items()}


def _published_heads(net: Backbone) -> dict[str, Tensor]:
    """The heads that the package contains, version 0.1."""
    import lpips

    path = Path(lpips.__file__).parent / "weights" / "v0.1" / f"{net}.pth"
    return torch.load(path, map_location="cpu", weights_only=True)
