"""What residual networks of any family share: their stages, and reading these from a file."""

from collections.abc import Callable, Mapping, Sequence

from torch import Tensor, nn

MakeBlock = Callable[[int, int, int], nn.Module]  # channels, channels out, stride


def stages(
    make: MakeBlock,
    stem: int,
    widths: Sequence[int],
    depths: Sequence[int],
    strides: Sequence[int],
) -> list[nn.Sequential]:
    """Blocks in a row for each stage, the first of which changes its width and its size."""
    channels, built = stem, []
    for width, depth, stride in zip(widths, depths, strides, strict=True):
        rest = (make(width, width, 1) for _ in range(depth - 1))
        built.append(nn.Sequential(make(channels, width, stride), *rest))
        channels = width
    return built


def projection(channels: int, out_channels: int, stride: int) -> nn.Sequential:
    """A shortcut past a block that changes the width or the size."""
    return nn.Sequential(
        nn.Conv2d(channels, out_channels, 1, stride, bias=False), nn.BatchNorm2d(out_channels)
    )


def children(tensors: Mapping[str, Tensor], name: str) -> int:
    """How many numbered modules with tensors stand under a name."""
    below = f"{name}."
    return len({key[len(below) :].split(".")[0] for key in tensors if key.startswith(below)})
