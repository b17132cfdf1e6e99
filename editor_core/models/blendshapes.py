"""Blendshapes from landmarks: the MLP-Mixer (Tolstikhin et al. 2021) of MediaPipe's face
landmarker v2, which says how much of each of 52 expressions a face shows."""

import torch
from torch import Tensor, nn
from torch.nn.functional import relu

MARKERS = (  # landmarks that the network reads
    *(0, 1, 4, 5, 6, 7, 8, 10, 13, 14, 17, 21, 33, 37, 39, 40, 46, 52, 53, 54, 55, 58, 61, 63),
    *(65, 66, 67, 70, 78, 80, 81, 82, 84, 87, 88, 91, 93, 95, 103, 105, 107, 109, 127, 132, 133),
    *(136, 144, 145, 146, 148, 149, 150, 152, 153, 154, 155, 157, 158, 159, 160, 161, 162, 163),
    *(168, 172, 173, 176, 178, 181, 185, 191, 195, 197, 234, 246, 249, 251, 263, 267, 269, 270),
    *(276, 282, 283, 284, 285, 288, 291, 293, 295, 296, 297, 300, 308, 310, 311, 312, 314, 317),
    *(318, 321, 323, 324, 332, 334, 336, 338, 356, 361, 362, 365, 373, 374, 375, 377, 378, 379),
    *(380, 381, 382, 384, 385, 386, 387, 388, 389, 390, 397, 398, 400, 402, 405, 409, 415, 454),
    *(466, 468, 469, 470, 471, 472, 473, 474, 475, 476, 477),
)
BLENDSHAPES = (  # ARKit's names, sides as the person has them; all that is in none is neutral
    *("_neutral", "browDownLeft", "browDownRight", "browInnerUp", "browOuterUpLeft"),
    *("browOuterUpRight", "cheekPuff", "cheekSquintLeft", "cheekSquintRight", "eyeBlinkLeft"),
    *("eyeBlinkRight", "eyeLookDownLeft", "eyeLookDownRight", "eyeLookInLeft", "eyeLookInRight"),
    *("eyeLookOutLeft", "eyeLookOutRight", "eyeLookUpLeft", "eyeLookUpRight", "eyeSquintLeft"),
    *("eyeSquintRight", "eyeWideLeft", "eyeWideRight", "jawForward", "jawLeft", "jawOpen"),
    *("jawRight", "mouthClose", "mouthDimpleLeft", "mouthDimpleRight", "mouthFrownLeft"),
    *("mouthFrownRight", "mouthFunnel", "mouthLeft", "mouthLowerDownLeft", "mouthLowerDownRight"),
    *("mouthPressLeft", "mouthPressRight", "mouthPucker", "mouthRight", "mouthRollLower"),
    *("mouthRollUpper", "mouthShrugLower", "mouthShrugUpper", "mouthSmileLeft"),
    *("mouthSmileRight", "mouthStretchLeft", "mouthStretchRight", "mouthUpperUpLeft"),
    *("mouthUpperUpRight", "noseSneerLeft", "noseSneerRight"),
)
TOKENS, WIDTH = 96, 64  # besides the token that the answer is read from
TOKEN_HIDDEN, CHANNEL_HIDDEN = 384, 256
BLOCKS = 4
SPREAD = 0.5  # mean distance of the markers from their middle, as it was in training


class Blendshapes(nn.Module):
    """Says how far each blendshape is shown, from landmarks in any unit."""

    def __init__(self) -> None:
        super().__init__()
        self.token_reduce = nn.Linear(len(MARKERS), TOKENS)
        self.token_embed = nn.Linear(2, WIDTH)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, WIDTH))
        self.blocks = nn.Sequential(*(MixerBlock() for _ in range(BLOCKS)))
        self.head = nn.Linear(WIDTH, len(BLENDSHAPES))

    def forward(self, points: Tensor) -> Tensor:
        """(B,478,2 or 3), upright -> (B,52) in [0,1]"""
        markers = points[:, list(MARKERS), :2]
        x = markers - markers.mean(1, keepdim=True)
        spread = torch.linalg.vector_norm(x, dim=2, keepdim=True).mean(1, keepdim=True)
        x = x / spread.clamp(min=1e-12) * SPREAD
        x = self.token_embed(self.token_reduce(x.mT).mT)
        x = self.blocks(torch.cat([self.cls_token.expand(len(x), -1, -1), x], 1))
        return self.head(x[:, 0]).sigmoid()


class MixerBlock(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.ln1 = nn.LayerNorm(WIDTH, eps=1e-6, bias=False)
        self.ln2 = nn.LayerNorm(WIDTH, eps=1e-6, bias=False)
        self.token_mlp1 = nn.Linear(TOKENS + 1, TOKEN_HIDDEN)
        self.token_mlp2 = nn.Linear(TOKEN_HIDDEN, TOKENS + 1)
        self.channel_mlp1 = nn.Linear(WIDTH, CHANNEL_HIDDEN)
        self.channel_mlp2 = nn.Linear(CHANNEL_HIDDEN, WIDTH)

    def forward(self, x: Tensor) -> Tensor:  # (B,97,64) -> (B,97,64)
        x = x + self.token_mlp2(relu(self.token_mlp1(self.ln1(x).mT))).mT
        return x + self.channel_mlp2(relu(self.channel_mlp1(self.ln2(x))))
