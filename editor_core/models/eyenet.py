"""EyeNet: stacked hourglasses (Newell et al. 2016) that find an eye's landmarks, and its gaze from
them and from the picture; the network of the published gaze estimator."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import max_pool2d, relu

from .blocks import conv_norm_relu
from .configs import StateDict, count_children

CROP_SIZE = (96, 160)  # height and width of the eye picture
GAZE_CELLS = (CROP_SIZE[0] // 8) * (CROP_SIZE[1] // 8)
SHARPNESS = 100.0  # of the softmax that turns a heatmap into a position


@dataclass(frozen=True)
class EyeNetConfig:
    """What shapes the network: hourglasses in a row, their width, landmarks, width of the stem."""

    nstack: int = 3
    nfeatures: int = 32
    nlandmarks: int = 34
    stem: int = 64

    @classmethod
    def from_state_dict(cls, tensors: StateDict) -> "EyeNetConfig":
        """The configuration of a network, from the names and shapes of its tensors."""
        stacks, stem = count_children(tensors, "outs"), len(tensors["pre.0.conv.weight"])
        landmarks, width = tensors["outs.0.conv.weight"].shape[:2]
        return cls(nstack=stacks, nfeatures=width, nlandmarks=landmarks, stem=stem)


class EyeNetOutput(NamedTuple):
    heatmaps: Tensor  # (B,nstack,nlandmarks,48,80)
    landmarks: Tensor  # (B,nlandmarks,2): y and x in heatmap pixels
    gaze: Tensor  # (B,2): pitch and yaw in radians


class EyeNet(nn.Module):
    """Finds the landmarks and the gaze of one eye."""

    def __init__(self, config: EyeNetConfig) -> None:
        super().__init__()
        self.config = config
        stacks, width, landmarks = config.nstack, config.nfeatures, config.nlandmarks
        self.pre = _trunk(1, config.stem, width, stride=1)
        self.pre2 = _trunk(width, config.stem, width, stride=2)
        self.hgs = _each(stacks, lambda: nn.Sequential(Hourglass(depth=4, width=width)))
        self.features = _each(
            stacks,
            lambda: nn.Sequential(
                EyeNetResidual(width, width), conv_norm_relu(nn.Conv2d(width, width, 1))
            ),
        )
        self.outs = _each(stacks, lambda: _conv(width, landmarks))
        self.merge_features = _each(stacks - 1, lambda: _merge(width, width))
        self.merge_preds = _each(stacks - 1, lambda: _merge(landmarks, width))
        self.gaze_fc1 = nn.Linear(width * GAZE_CELLS + 2 * landmarks, 256)
        self.gaze_fc2 = nn.Linear(256, 2)

    def forward(self, eyes: Tensor) -> EyeNetOutput:
        """(B,96,160) grey in [0,1] -> heatmaps, landmarks and gaze"""
        x = self.pre(eyes[:, None])
        heatmaps = self._heatmaps(x)
        landmarks = soft_argmax(heatmaps[:, -1])
        features = torch.cat([self.pre2(x).flatten(1), landmarks.flatten(1)], dim=1)
        return EyeNetOutput(heatmaps, landmarks, self.gaze_fc2(relu(self.gaze_fc1(features))))

    def _heatmaps(self, x: Tensor) -> Tensor:
        """(B,C,48,80) -> (B,nstack,nlandmarks,48,80)"""
        heatmaps = []
        for index in range(self.config.nstack):
            features = self.features[index](self.hgs[index](x))
            heatmaps.append(self.outs[index](features))
            if index < self.config.nstack - 1:
                x = x + self.merge_preds[index](heatmaps[-1])
                x = x + self.merge_features[index](features)
        return torch.stack(heatmaps, dim=1)


def soft_argmax(heatmaps: Tensor) -> Tensor:  # (B,N,H,W) -> (B,N,2)
    """Mean position under a sharp softmax, y and x in pixels."""
    height, width = heatmaps.shape[2:]
    weights = (SHARPNESS * heatmaps.flatten(2)).softmax(dim=2).unflatten(2, (height, width))
    rows = torch.arange(height, dtype=heatmaps.dtype, device=heatmaps.device)
    columns = torch.arange(width, dtype=heatmaps.dtype, device=heatmaps.device)
    return torch.stack([weights.sum(3) @ rows, weights.sum(2) @ columns], dim=2)


class EyeNetResidual(nn.Module):
    """Pre-normalised bottleneck; its shortcut is convolved only where the width changes."""

    def __init__(self, channels: int, out_channels: int) -> None:
        super().__init__()
        half = out_channels // 2
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv1 = _conv(channels, half)
        self.bn2 = nn.BatchNorm2d(half)
        self.conv2 = _conv(half, half, kernel=3)
        self.bn3 = nn.BatchNorm2d(half)
        self.conv3 = _conv(half, out_channels)
        self.skip_layer = _conv(channels, out_channels)  # in every published block
        self.changes_width = channels != out_channels

    def forward(self, x: Tensor) -> Tensor:  # (B,C,H,W) -> (B,C',H,W)
        h = self.conv1(relu(self.bn1(x)))
        h = self.conv2(relu(self.bn2(h)))
        h = self.conv3(relu(self.bn3(h)))
        return h + (self.skip_layer(x) if self.changes_width else x)


class Hourglass(nn.Module):
    """Convolves at ever smaller sizes, and adds the results up on the way back."""

    def __init__(self, depth: int, width: int) -> None:
        super().__init__()
        self.up1 = EyeNetResidual(width, width)
        self.low1 = EyeNetResidual(width, width)
        self.low2 = Hourglass(depth - 1, width) if depth > 1 else EyeNetResidual(width, width)
        self.low3 = EyeNetResidual(width, width)
        self.enlarge = nn.Upsample(scale_factor=2, mode="bilinear")

    def forward(self, x: Tensor) -> Tensor:  # (B,C,H,W) -> (B,C,H,W)
        low = self.low3(self.low2(self.low1(max_pool2d(x, 2))))
        return self.up1(x) + self.enlarge(low)


def _conv(channels: int, out_channels: int, kernel: int = 1) -> nn.Sequential:
    """A convolution alone, whose parameters the published names put one level down."""
    conv = nn.Conv2d(channels, out_channels, kernel, padding=kernel // 2)
    return nn.Sequential(OrderedDict(conv=conv))


def _merge(channels: int, out_channels: int) -> nn.Sequential:
    return nn.Sequential(OrderedDict(conv=_conv(channels, out_channels)))


def _trunk(channels: int, stem: int, out_channels: int, stride: int) -> nn.Sequential:
    """Features at 1 / (2 stride) of the size."""
    return nn.Sequential(
        conv_norm_relu(nn.Conv2d(channels, stem, 7, stride, padding=3)),
        EyeNetResidual(stem, 2 * stem),
        nn.MaxPool2d(2),
        EyeNetResidual(2 * stem, 2 * stem),
        EyeNetResidual(2 * stem, out_channels),
    )


def _each(count: int, make: Callable[[], nn.Module]) -> nn.ModuleList:
    return nn.ModuleList(make() for _ in range(count))
