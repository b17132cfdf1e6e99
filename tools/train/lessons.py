"""What each demo network learns: a lesson holds the network and returns its loss on drawn rows."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...editor_core.demo.people import InnerFace, Scene
from ...editor_core.demo.portraits import both_eyes_visible
from ...editor_core.diffusion.process import GaussianDiffusion
from ...editor_core.face.eyes import crop_eyes, find_eyes_in_labels
from ...editor_core.face.identity import IdentityEncoder, embed_identity, identity_distance
from ...editor_core.face.parsing import FACE_PARTS, FacePart
from ...editor_core.images import imagenet_normalise, resize
from ...editor_core.models.bisenet import BiSeNet
from ...editor_core.models.iresnet import IResNet
from ...editor_core.models.unet import UNet
from ..evaluate.networks import Judge
from .dataset import PortraitSet
from .learning import Lesson

Generator = torch.Generator
ARC_SCALE, ARC_MARGIN = 16.0, 0.1
FACE_WEIGHT, IDENTITY_WEIGHT = 2.0, 0.1  # in the loss of a face
TWINS_FROM = 250  # of 1000 steps
STRANGERS = 1024  # identities beside the batch's own to distinguish a picture from


class IdentityLesson(Lesson):
    """ArcFace (Deng et al. 2019) over drawn identities.

    The centre of a class is a learned function of the identity's parameters, so that classes are
    without number and near identities have near centres.
    """

    def __init__(self, network: IResNet | Judge):
        super().__init__(network)
        layers = nn.Linear(len(InnerFace.RANGES), 512), nn.Linear(512, network.config.embedding)
        self.centre = nn.Sequential(layers[0], nn.ReLU(), layers[1])

    def forward(self, data: PortraitSet, rows: Tensor, generator: Generator) -> Tensor:
        x = imagenet_normalise(degrade(data.picture(rows), generator))
        x = x * half_masked(data.labels[rows], generator)
        strangers = torch.randint(len(data), (STRANGERS,), generator=generator)
        classes = torch.cat([rows, strangers])
        centres = F.normalize(self.centre(data.inner[classes] * 2 - 1), dim=1)
        cosine = F.normalize(self.network(x), dim=1) @ centres.T
        same = data.person(rows)[:, None] == data.person(classes)[None]
        same[:, : len(rows)].fill_diagonal_(False)
        own = torch.arange(len(rows))
        logits = ARC_SCALE * with_margin(cosine, own).masked_fill(same, -ARC_SCALE)
        return F.cross_entropy(logits, own)


def half_masked(labels: Tensor, generator: Generator) -> Tensor:  # (B,H,W) -> (B,1,H,W)
    """The face's mask for half the pictures, as guidance shows them; 1 everywhere for the rest."""
    face = torch.isin(labels, torch.tensor(FACE_PARTS))[:, None]
    whole = torch.rand(len(labels), 1, 1, 1, generator=generator) < 0.5
    return (face | whole).float()


def with_margin(cosine: Tensor, own: Tensor) -> Tensor:  # (B,C), (B,) -> (B,C)
    """Add the angular margin to each row's own class (ArcFace, eq. 3)."""
    angle = cosine.clamp(-1 + 1e-6, 1 - 1e-6).acos()
    margin = F.one_hot(own, cosine.shape[1]) * ARC_MARGIN
    return (angle + margin).clamp(max=torch.pi).cos()


class ParserLesson(Lesson):
    """Pixel-wise cross-entropy of BiSeNet's three heads, rare parts weighted up mildly."""

    def __init__(self, network: BiSeNet, size: int):
        super().__init__(network)
        self.size = size

    def forward(self, data: PortraitSet, rows: Tensor, generator: Generator) -> Tensor:
        labels = data.labels[rows].long()
        x = imagenet_normalise(resize(degrade(data.picture(rows), generator), self.size))
        count = torch.bincount(labels.flatten(), minlength=len(FacePart)).float()
        weight = (count.sum() / (count + 1)) ** 0.2  # stronger would make thin parts look thick
        heads = [resize(logits, labels.shape[1]) for logits in self.network(x)]
        losses = [F.cross_entropy(logits, labels, weight) for logits in heads]
        return losses[0] + 0.4 * (losses[1] + losses[2])


class GazeLesson(Lesson):
    """L1 in radians of EyeNet's gaze on both eyes; its yaw grows leftwards."""

    def forward(self, data: PortraitSet, rows: Tensor, generator: Generator) -> Tensor:
        rows = rows[both_eyes_visible(data.labels[rows])]
        image = degrade(data.picture(rows), generator)
        both = torch.cat(crop_eyes(image, find_eyes_in_labels(data.labels[rows])))[:, 0]
        scene = Scene(data.scene[rows])
        truth = torch.deg2rad(torch.stack([scene["gaze_pitch"], -scene["gaze_yaw"]], 1))
        return F.l1_loss(self.network(both).gaze, torch.cat([truth, truth]))


class PerceptualLesson(Lesson):
    """Features for LPIPS: a backbone that regresses every parameter of person and scene."""

    def __init__(self, network: nn.Module, channels: int):
        super().__init__(network)  # which has `features`, as torchvision's classifiers
        self.regression = nn.Linear(channels, len(InnerFace.RANGES) + len(Scene.RANGES))

    def forward(self, data: PortraitSet, rows: Tensor, generator: Generator) -> Tensor:
        x = imagenet_normalise(degrade(data.picture(rows), generator))
        pooled = self.network.get_submodule("features")(x).mean((2, 3))
        truth = torch.cat([data.inner[rows], data.scene[rows]], 1)
        return F.mse_loss(self.regression(pooled), truth)


class DenoiserLesson(Lesson):
    """Prediction of v, conditioned on another picture of the same inner face.

    A short training learns v where it would not learn epsilon: at the noisy end, where epsilon is
    almost x_t itself and the picture hides in the difference.
    """

    def __init__(self, network: UNet, encoder: IdentityEncoder, diffusion: GaussianDiffusion):
        super().__init__(network)
        self.encoder, self.diffusion = encoder, diffusion

    def forward(self, data: PortraitSet, rows: Tensor, generator: Generator) -> Tensor:
        return self.predict(data, rows, generator).squares.mean()

    def predict(self, data: PortraitSet, rows: Tensor, generator: Generator) -> LessonPrediction:
        """The network's output on the pictures `rows`, each noised to a step of its own."""
        x0 = data.picture(rows)
        t = torch.randint(self.diffusion.num_timesteps, (len(rows),), generator=generator)
        noise = torch.randn(x0.shape, generator=generator)
        x_t = self.diffusion.q_sample(self.start(data, rows, t, generator), t, noise)
        other = torch.randint(1, data.pictures, (len(rows),), generator=generator)
        source = data.person(rows) * data.pictures + (rows + other) % data.pictures
        identity = embed_identity(self.encoder, data.picture(source))
        v = self.network(x_t, self.diffusion.model_timesteps(t), identity)
        squares = (v - self.diffusion.predict_v(x_t, t, x0)) ** 2
        return LessonPrediction(squares, self.diffusion.predict_x0_from_v(x_t, t, v), identity)

    def start(self, data: PortraitSet, rows: Tensor, t: Tensor, generator: Generator) -> Tensor:
        """What is noised: the picture to predict."""
        return data.picture(rows)


class FaceLesson(DenoiserLesson):
    """The denoiser's lesson with a loss of the face, and of its identity.

    Errors in the face count more, and the predicted picture must have the identity given
    (DiffFace, arXiv 2212.13344, section 3.2). A unit vector is a faint input: the layer that reads
    it learns faster by the root of its length, as if its numbers had unit variance.
    """

    def groups(self) -> list[dict[str, Any]]:
        """The parameters; those that read the identity at their own pace."""
        reader = self.network.get_parameter("id_embed.0.weight")
        rest = [each for each in self.parameters() if each is not reader]
        return [{"params": rest, "pace": 1.0}, {"params": [reader], "pace": len(reader[0]) ** 0.5}]

    def forward(self, data: PortraitSet, rows: Tensor, generator: Generator) -> Tensor:
        predicted = self.predict(data, rows, generator)
        face = torch.isin(data.labels[rows], torch.tensor(FACE_PARTS))[:, None].float()
        view = imagenet_normalise(predicted.pred_x0) * half_masked(data.labels[rows], generator)
        distance = identity_distance(self.encoder.embed_view(view), predicted.identity)
        error = (predicted.squares * (1 + FACE_WEIGHT * face)).mean()
        return error + IDENTITY_WEIGHT * distance.mean()


class SwapLesson(FaceLesson):
    """The face's lesson for swaps: what is noised may show somebody else.

    At noisy steps half the pictures are noised from their twins, so that the network learns to take
    the inner face from the identity, and pose, light and head from its input.
    """

    def start(self, data: PortraitSet, rows: Tensor, t: Tensor, generator: Generator) -> Tensor:
        """What is noised: the picture to predict, or its twin."""
        twin = (torch.rand(len(rows), generator=generator) < 0.5) & (t >= TWINS_FROM)
        own = data.picture(rows)
        return torch.where(twin[:, None, None, None], data.picture(rows, twin=True), own)


class LessonPrediction(NamedTuple):
    """A denoiser's output on a batch."""

    squares: Tensor  # (B,3,H,W) squared errors of v
    pred_x0: Tensor  # (B,3,H,W)
    identity: Tensor  # (B,E) that was given


def degrade(image: Tensor, generator: Generator) -> Tensor:  # (B,3,H,W) -> (B,3,H,W)
    """Soften and roughen pictures as an unfinished edit is: half are blurred, half are noisy."""
    draws = torch.rand(3, len(image), 1, 1, 1, generator=generator)
    low = resize(resize(image, image.shape[-1] // 4), image.shape[-1])
    softness = (draws[0] * 2 - 1).clamp(min=0) * 0.8
    roughness = (draws[1] * 2 - 1).clamp(min=0) * 0.3
    noise = torch.randn(image.shape, generator=generator)
    return torch.lerp(image, low, softness) + roughness * noise
