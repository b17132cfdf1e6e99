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
        import lpips

        super().__init__()
        self.network: Any = _empty_network(net, heads)
        published = {**backbone, **lpips.ScalingLayer().state_dict(prefix="scaling_layer.")}
        if heads:
            path = Path(lpips.__file__).parent / "weights" / "v0.1" / f"{net}.pth"
            published |= torch.load(path, map_location="cpu", weights_only=True)
        tensors = {}
        for name in self.network.state_dict():
            in_file = re.sub(r"^net\.slice\d+\.", "features.", name.replace("lins.", "lin"))
            tensors[name] = published[in_file].float()
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
