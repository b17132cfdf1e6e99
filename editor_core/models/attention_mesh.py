"""Attention Mesh (Grishchenko et al. 2020, 2006.10962): a face mesh whose lips, eyes and irises are
found again, each in features cut out around it; MediaPipe's `face_landmark_with_attention`."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor, nn
from torch.nn.functional import grid_sample

from .configs import StateDict
from .face_mesh import MeshBlock, MeshTrunk, require_stages, stage_widths

MESH_POINTS = 468  # before the irises
CELLS = 16  # of the features cut out for a region, along a side
REGION_MARGIN = 1.5  # of what is cut out to what its landmarks span
REGION_PIXELS = 4  # of a region's own landmarks to a cell, and of the picture to a feature

LIPS = (  # outer, inner, and between them; of each the lower lip with the corners, then the upper
    *(61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 185, 40, 39, 37, 0, 267, 269, 270, 409),
    *(78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308, 191, 80, 81, 82, 13, 312, 311, 310, 415),
    *(76, 77, 90, 180, 85, 16, 315, 404, 320, 307, 306, 184, 74, 73, 72, 11, 302, 303, 304, 408),
    *(62, 96, 89, 179, 86, 15, 316, 403, 319, 325, 292, 183, 42, 41, 38, 12, 268, 271, 272, 407),
)
LEFT_EYE = (  # sides as in the picture; the contour comes first, from one corner below and above
    *(33, 7, 163, 144, 145, 153, 154, 155, 133, 246, 161, 160, 159, 158, 157, 173, 130, 25, 110),
    *(24, 23, 22, 26, 112, 243, 247, 30, 29, 27, 28, 56, 190, 226, 31, 228, 229, 230, 231, 232),
    *(233, 244, 113, 225, 224, 223, 222, 221, 189, 35, 124, 46, 53, 52, 65, 143, 111, 117, 118),
    *(119, 120, 121, 128, 245, 156, 70, 63, 105, 66, 107, 55, 193),
)
RIGHT_EYE = (
    *(263, 249, 390, 373, 374, 380, 381, 382, 362, 466, 388, 387, 386, 385, 384, 398, 359, 255),
    *(339, 254, 253, 252, 256, 341, 463, 467, 260, 259, 257, 258, 286, 414, 446, 261, 448, 449),
    *(450, 451, 452, 453, 464, 342, 445, 444, 443, 442, 441, 413, 265, 353, 276, 283, 282, 295),
    *(372, 340, 346, 347, 348, 349, 350, 357, 465, 383, 300, 293, 334, 296, 336, 285, 417),
)
CONTOUR = 16  # of an eye's landmarks
LEFT_IRIS = tuple(range(468, 473))  # the middle, then four on the edge
RIGHT_IRIS = tuple(range(473, 478))
ENDS = {"lips": (61, 291), "left": (33, 133), "right": (362, 263)}  # a region is level with them


@dataclass(frozen=True)
class AttentionMeshConfig:
    """What shapes the network: the widths of the mesh's stages, of heads, of a region's stages."""

    widths: tuple[int, ...] = (16, 32, 64, 128, 128, 128)
    head: int = 32
    region: tuple[int, int] = (64, 128)

    def __post_init__(self) -> None:
        require_stages(self.widths)

    @classmethod
    def from_state_dict(cls, tensors: StateDict) -> "AttentionMeshConfig":
        """The configuration of a network, from the names and shapes of its tensors."""
        one, two = (len(tensors[f"lips.trunk.{place}.pointwise.weight"]) for place in (2, 5))
        return cls(stage_widths(tensors), len(tensors["mesh.head_reduce.weight"]), (one, two))


class AttentionMesh(nn.Module):
    """Finds the landmarks of a face; it knows no blendshapes."""

    blendshapes = None

    def __init__(self, config: AttentionMeshConfig) -> None:
        super().__init__()
        self.config = config
        self.mesh = MeshTrunk(config.widths, config.head, prelu=False)
        self.lips = Region(config, contour=len(LIPS))
        self.left = Region(config, contour=len(LEFT_EYE), iris=len(LEFT_IRIS))
        self.right = Region(config, contour=len(RIGHT_EYE), iris=len(RIGHT_IRIS))
        self.mesh.head_landmarks = nn.Conv2d(config.head, 3 * MESH_POINTS, 3)
        self.mesh.head_presence = nn.Conv2d(config.head, 1, 3)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(B,3,192,192) in [0,1] -> (B,478,3) in pixels, and how surely it is a face (B,)"""
        features, last = self.mesh(x)
        mesh = self.mesh.head_landmarks(last).reshape(len(x), MESH_POINTS, 3)
        presence = self.mesh.head_presence(last).sigmoid().reshape(len(x))
        return self._refined(mesh, features), presence

    def _refined(self, mesh: Tensor, features: Tensor) -> Tensor:  # (B,468,3) -> (B,478,3)
        """The mesh with the regions' own landmarks; irises are as deep as their eyes."""
        (lips,) = self.lips(mesh, features, LIPS, ENDS["lips"])
        left, left_iris = self.left(mesh, features, LEFT_EYE, ENDS["left"])
        right, right_iris = self.right(mesh, features, RIGHT_EYE, ENDS["right"])
        depth = torch.cat([_iris_depth(mesh, LEFT_EYE), _iris_depth(mesh, RIGHT_EYE)], 1)
        places = torch.cat([mesh[..., :2], left_iris, right_iris], 1)
        found, index = torch.cat([lips, left, right], 1), [*LIPS, *LEFT_EYE, *RIGHT_EYE]
        places = places.index_copy(1, torch.tensor(index, device=mesh.device), found)
        return torch.cat([places, torch.cat([mesh[..., 2:], depth], 1)], 2)


def _iris_depth(mesh: Tensor, eye: Sequence[int]) -> Tensor:  # (B,468,3) -> (B,5,1)
    return mesh[:, list(eye[:CONTOUR]), 2].mean(1)[:, None, None].expand(-1, len(LEFT_IRIS), 1)


class Region(nn.Module):
    """Finds the landmarks of one region in the features around it, with a head for each set."""

    def __init__(self, config: AttentionMeshConfig, **heads: int) -> None:
        super().__init__()
        width, (one, two) = config.widths[1], config.region
        self.trunk = nn.Sequential(
            *(MeshBlock(width, width, prelu=False) for _ in range(2)),
            MeshBlock(width, one, 2, prelu=False),
            *(MeshBlock(one, one, prelu=False) for _ in range(2)),
            MeshBlock(one, two, 2, prelu=False),
        )
        self.heads = nn.ModuleDict(
            {name: RegionHead(two, config.head, n) for name, n in heads.items()}
        )

    def forward(
        self, mesh: Tensor, features: Tensor, members: Sequence[int], ends: tuple[int, int]
    ) -> list[Tensor]:
        """Of each head the landmarks (B,n,2), in pixels of the picture."""
        frame = region_frame(mesh[:, list(members), :2], mesh[:, list(ends), :2])
        x = self.trunk(cut_out(features, frame / REGION_PIXELS))
        return [from_frame(frame, head(x) / REGION_PIXELS) for head in self.heads.values()]


class RegionHead(nn.Module):
    def __init__(self, width: int, narrow: int, points: int) -> None:
        super().__init__()
        self.blocks = nn.Sequential(
            *(MeshBlock(width, width, stride, prelu=False) for stride in (1, 1, 2, 1, 1))
        )
        self.reduce = nn.Conv2d(width, narrow, 1)
        self.prelu_reduce = nn.PReLU(narrow)
        self.block = MeshBlock(narrow, narrow, prelu=False)
        self.landmarks = nn.Conv2d(narrow, 2 * points, 2)

    def forward(self, x: Tensor) -> Tensor:  # (B,C,4,4) -> (B,points,2)
        x = self.block(self.prelu_reduce(self.reduce(self.blocks(x))))
        return self.landmarks(x).reshape(len(x), -1, 2)


def region_frame(points: Tensor, ends: Tensor) -> Tensor:  # (B,n,2), (B,2,2) -> (B,2,3)
    """The affine from cells of a region, level with its ends, to where the points are."""
    along = ends[:, 1] - ends[:, 0]
    along = along / torch.linalg.vector_norm(along, dim=1, keepdim=True)
    axes = torch.stack([along, torch.stack([-along[:, 1], along[:, 0]], 1)], 2)  # as columns
    turned = points @ axes
    low, high = turned.amin(1), turned.amax(1)
    linear = axes * (REGION_MARGIN / CELLS * (high - low))[:, None]
    middle = (axes @ ((low + high) / 2)[..., None]) - linear.sum(2, keepdim=True) * CELLS / 2
    return torch.cat([linear, middle], 2)


def from_frame(frame: Tensor, points: Tensor) -> Tensor:  # (B,2,3), (B,n,2) -> (B,n,2)
    return points @ frame[:, :, :2].mT + frame[:, :, 2][:, None]


def cut_out(features: Tensor, frame: Tensor) -> Tensor:  # (B,C,h,w), (B,2,3) -> (B,C,16,16)
    """The features in a frame, zero wherever any of it would be read from beyond their edge."""
    steps = torch.arange(CELLS, device=features.device) + 0.5
    cells = torch.stack(torch.meshgrid(steps, steps, indexing="xy"), 2).to(features).flatten(0, 1)
    places = from_frame(frame, cells.expand(len(features), -1, -1)).unflatten(1, (CELLS, CELLS))
    size = places.new_tensor([features.shape[3], features.shape[2]])
    found = grid_sample(features, 2 * places / size - 1, "bilinear", "border", False)
    inside = (places >= 0.5) & (places <= size - 0.5)
    return found * inside.all(3)[:, None]


HEADS = {  # what the file calls the layers that it does not number
    "mesh.head_landmarks": "output_mesh",
    "mesh.head_presence": "conv_faceflag",
    "lips.heads.contour.landmarks": "conv_lips",
    "left.heads.contour.landmarks": "conv_left_eye",
    "left.heads.iris.landmarks": "conv_left_iris",
    "right.heads.contour.landmarks": "conv_right_eye",
    "right.heads.iris.landmarks": "conv_right_iris",
}
SCALES = "multiply_by_constant"  # constants of the graph, which the code above has as numbers
ARRANGE: dict[str, tuple[str, Callable[[Tensor], Tensor]]] = {  # by kind: the parameter, its layout
    "conv2d": ("Kernel", lambda kernel: kernel.permute(0, 3, 1, 2)),
    "depthwise_conv2d": ("Kernel", lambda kernel: kernel.permute(3, 0, 1, 2)),
    "p_re_lu": ("Alpha", lambda alpha: alpha.flatten()),
}


def with_own_names(tensors: StateDict) -> StateDict:
    """The tensors under the names of `AttentionMesh`, laid out as torch's, of a file of either."""
    if "output_mesh/Kernel" not in tensors:
        return tensors
    named = {name: t for name, t in tensors.items() if not name.startswith(SCALES)}
    found: dict[str, Tensor] = {}
    for own, layer, kind in file_layers():
        parameter, arrange = ARRANGE[kind]
        found[f"{own}.weight"] = arrange(named.pop(f"{layer}/{parameter}"))
        if kind != "p_re_lu":
            found[f"{own}.bias"] = named.pop(f"{layer}/Bias")
    return {**found, **named}


@cache
def file_layers() -> tuple[tuple[str, str, str], ...]:
    """The layers of the network: their names, those in the file, and of which kind they are.

    The file numbers the layers of a kind in the order in which they are made.
    """
    with torch.device("meta"):
        modules = dict(AttentionMesh(AttentionMeshConfig()).named_modules())
    counts: Counter[str] = Counter()
    layers = []
    for own, module in modules.items():
        if kind := _kind(module):
            number = counts[kind]
            layers.append((own, HEADS.get(own) or f"{kind}_{number}".removesuffix("_0"), kind))
            counts[kind] += own not in HEADS
    return tuple(layers)


def _kind(module: nn.Module) -> str | None:
    if isinstance(module, nn.Conv2d):
        return "conv2d" if module.groups == 1 else "depthwise_conv2d"
    return "p_re_lu" if isinstance(module, nn.PReLU) else None
