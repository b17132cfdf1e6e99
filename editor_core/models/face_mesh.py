"""Face meshes of MediaPipe: 478 landmarks of a face, ten of them on the irises.

FaceMesh v2, as `face_landmarker_v2` publishes it with its blendshapes: the BlazeFace blocks of
Kartynnik et al., Real-time Facial Surface Geometry from Monocular Video, 2019 (1907.06724).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from torch import Tensor, nn
from torch.nn.functional import max_pool2d, pad

from .blendshapes import Blendshapes
from .configs import StateDict

LANDMARKS = 478
MESH_SIZE = 192  # pixels of the picture's side
DEPTHS = (2, 3, 3, 3, 3, 3)  # blocks of each stage; all stages but the first halve the size
PARTS = ("mesh.", "blendshapes.")  # what of a file of ComfyUI's is read; the rest finds faces


@dataclass(frozen=True)
class FaceMeshConfig:
    """What shapes the network: the widths of its stages and of its head."""

    widths: tuple[int, ...] = (16, 32, 64, 128, 128, 128)
    head: int = 8
    has_blendshapes: bool = True

    def __post_init__(self) -> None:
        require_stages(self.widths)

    @classmethod
    def from_state_dict(cls, tensors: StateDict) -> "FaceMeshConfig":
        """The configuration of a network, from the names and shapes of its tensors."""
        blendshapes = any(name.startswith("blendshapes.") for name in tensors)
        return cls(stage_widths(tensors), len(tensors["mesh.head_reduce.weight"]), blendshapes)


def require_stages(widths: Sequence[int]) -> None:
    if len(widths) != len(DEPTHS):
        raise ValueError(f"got {len(widths)} widths: expected one for each of {len(DEPTHS)} stages")


def stage_widths(tensors: StateDict) -> tuple[int, ...]:
    """How wide each stage is, by its first block."""
    firsts = [sum(DEPTHS[:stage]) for stage in range(len(DEPTHS))]
    return tuple(len(tensors[f"mesh.blocks.{first}.pointwise.weight"]) for first in firsts)


class FaceMesh(nn.Module):
    """Finds the landmarks of a face, and the blendshapes that they show."""

    def __init__(self, config: FaceMeshConfig) -> None:
        super().__init__()
        self.config = config
        self.mesh = MeshTrunk(config.widths, config.head, prelu=True)
        self.mesh.head_presence = nn.Conv2d(config.head, 1, 3)
        self.mesh.head_landmarks = nn.Conv2d(config.head, 3 * LANDMARKS, 3)
        self.blendshapes = Blendshapes() if config.has_blendshapes else None

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(B,3,192,192) in [0,1] -> (B,478,3) in pixels, and how surely it is a face (B,)"""
        _, features = self.mesh(x)
        points = self.mesh.head_landmarks(features).reshape(len(x), LANDMARKS, 3)
        return points, self.mesh.head_presence(features).sigmoid().reshape(len(x))


class MeshTrunk(nn.Module):
    """The stages of a mesh, and the block before its heads."""

    head_presence: nn.Conv2d
    head_landmarks: nn.Conv2d

    def __init__(self, widths: Sequence[int], head: int, prelu: bool) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, widths[0], 3, stride=2)
        self.prelu_stem = nn.PReLU(widths[0])
        first = [MeshBlock(widths[0], widths[0], prelu=prelu) for _ in range(DEPTHS[0])]
        later = (
            MeshBlock(width if block else before, width, 1 if block else 2, prelu)
            for (before, width), depth in zip(pairwise(widths), DEPTHS[1:], strict=True)
            for block in range(depth)
        )
        self.blocks = nn.ModuleList([*first, *later])
        self.head_reduce = nn.Conv2d(widths[-1], head, 1)
        self.prelu_head_reduce = nn.PReLU(head)
        self.head_block = MeshBlock(head, head, prelu=prelu)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(B,3,192,192) -> features at 48 x 48, and those for the heads, (B,head,3,3)"""
        x = self.prelu_stem(self.stem(pad_same(x, 2)))
        early = x
        for index, block in enumerate(self.blocks):
            x = block(x)
            early = x if index == DEPTHS[0] else early
        return early, self.head_block(self.prelu_head_reduce(self.head_reduce(x)))


class MeshBlock(nn.Module):
    """A depthwise and a pointwise convolution beside a shortcut without weights."""

    def __init__(self, channels: int, out_channels: int, stride: int = 1, prelu: bool = True):
        super().__init__()
        self.stride, self.more = stride, out_channels - channels
        self.depthwise = nn.Conv2d(channels, channels, 3, stride, groups=channels)
        self.prelu_dwise = nn.PReLU(channels) if prelu else nn.Identity()
        self.pointwise = nn.Conv2d(channels, out_channels, 1)
        self.prelu_out = nn.PReLU(out_channels)

    def forward(self, x: Tensor) -> Tensor:  # (B,C,H,W) -> (B,C',H/stride,W/stride)
        h = self.pointwise(self.prelu_dwise(self.depthwise(pad_same(x, self.stride))))
        past = max_pool2d(x, self.stride)
        return self.prelu_out(h + pad(past, (0, 0, 0, 0, 0, self.more)))


def pad_same(x: Tensor, stride: int) -> Tensor:
    """Padded for a kernel of 3 as TensorFlow does: a stride of 2 begins at an even size's edge."""
    before = 2 - stride
    return pad(x, (before, 1, before, 1))


def of_mesh(tensors: StateDict) -> dict[str, Tensor]:
    """The tensors of the mesh and its blendshapes, without detectors and what draws a mesh."""
    return {name: tensor for name, tensor in tensors.items() if name.startswith(PARTS)}
