"""The identity networks of AdaFace (Kim et al. 2022, arXiv 2204.00964), 18 to 101 layers deep: how
long an embedding is tells how good the picture is. CVLface publishes the same networks."""

from dataclasses import dataclass

from torch import Tensor, nn

from .blocks import projection
from .configs import ArcFaceConfig, StateDict, row_sizes
from .ir_se import ImprovedResNet

WRAPPERS_OF_NETWORK = ("net.", "model.")  # before its names in files of CVLface and of AdaFace


@dataclass(frozen=True)
class AdaFaceConfig(ArcFaceConfig):
    """What shapes the network; no stage is as wide as the next."""

    @classmethod
    def from_state_dict(cls, tensors: StateDict) -> "AdaFaceConfig":
        """The configuration of a network, from the names and shapes of its tensors."""
        return cls(**row_sizes(tensors, last_convolution="res_layer.4"))


class AdaFace(ImprovedResNet):
    """Embeds an aligned face; the longer the embedding, the better the picture."""

    def __init__(self, config: AdaFaceConfig) -> None:
        super().__init__(config, AdaFaceBlock, affine=False)


class AdaFaceBlock(nn.Module):
    """Pre-normalised residual block; its shortcut is convolved only where the width changes."""

    def __init__(self, channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        if channels == out_channels:
            self.shortcut_layer = nn.MaxPool2d(1, stride)
        else:
            self.shortcut_layer = projection(channels, out_channels, stride)
        self.res_layer = nn.Sequential(
            nn.BatchNorm2d(channels),
            nn.Conv2d(channels, out_channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.PReLU(out_channels),
            nn.Conv2d(out_channels, out_channels, 3, stride, padding=1, bias=False),
            nn.BatchNorm2d(out_channels),
        )

    def forward(self, x: Tensor) -> Tensor:  # (B,C,H,W) -> (B,C',H/stride,W/stride)
        return self.res_layer(x) + self.shortcut_layer(x)


def network_alone(tensors: StateDict) -> StateDict:
    """The network's tensors without their wrapper's name, and without the head of its training."""
    prefixes = (name for name in WRAPPERS_OF_NETWORK if f"{name}input_layer.0.weight" in tensors)
    prefix = next(prefixes, "")
    return {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}
