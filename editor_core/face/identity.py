"""The identity of a face: a unit vector, whose cosine with another says how alike they are."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..images import ImageSize, imagenet_normalise, resize
from .records import Size, require_points
from .resampling import invert, resampler
from .templates import template_named

SAME_PERSON = 0.6  # identity distance of one person's faces, where an encoder's own is not known

MEAN_STEPS = 20  # of the spherical mean: far below rounding for faces


@dataclass(frozen=True)
class IdentityEncoder:
    """An identity network with the input it was trained on: size, levels, resize and template."""

    network: nn.Module
    size: int = 112
    normalise: Callable[[Tensor], Tensor] = imagenet_normalise
    resize: Callable[[Tensor, ImageSize], Tensor] = resize
    template: str = "arcface"  # what its pictures were aligned to, one of TEMPLATES
    same_person: float = SAME_PERSON  # identity distance up to which two faces are one person's

    def embed(
        self, image: Tensor, template: str | None = None, points: Tensor | None = None
    ) -> Tensor:  # (B,3,H,W) in [-1, 1] -> (B,E)
        """The embedding of pictures, of unit length; see `viewer` for where their faces are."""
        size = (image.shape[2], image.shape[3])
        view = self.viewer(size, template, points, len(image))
        return self.embed_view(view(self.normalise(image)))

    def viewer(
        self,
        size: Size,
        template: str | None = None,
        points: Tensor | None = None,
        count: int = 1,
    ) -> Callable[[Tensor], Tensor]:
        """What brings `count` pictures (B,C,*size) to the encoder's size and template.

        Args:
            size: Of the pictures.
            template: What they were cut to, one of `TEMPLATES`; None: the encoder's own.
            points: (B,5,2) in pixels of the pictures, where they are known; else the points are
                where an average face of that template has them.
            count: Of the pictures.

        Returns:
            One differentiable affine of pictures in whatever range, antialiased. Pictures of the
            encoder's own template, and those of which nothing is known, are resized as a whole.

        Raises:
            ValueError: The points are of other pictures.
        """
        align = None if template == self.template else template_named(self.template).align
        if points is None and template is not None:
            points = template_named(template).points(size)
        elif points is not None:
            require_points(points, count)
        if align is None or points is None:
            return lambda image: self.resize(image, self.size)
        affine = align(points.detach().float().cpu()) * self.size
        return resampler(invert(affine).expand(count, -1, -1), (self.size, self.size), size)

    def embed_view(self, view: Tensor) -> Tensor:  # (B,3,size,size) -> (B,E)
        """The embedding, of unit length, of a picture that is normalised and resized already."""
        return F.normalize(self.network(view), dim=1)


@torch.no_grad()
def embed_identity(
    encoder: IdentityEncoder,
    image: Tensor,
    *,
    template: str | None = None,
    points: Tensor | None = None,
) -> Tensor:  # (B,3,H,W) -> (B,E)
    """The identity of every face in [-1, 1], of unit length, without gradient.

    Args:
        encoder: Sees the faces as those that it was trained on (arXiv 1801.07698).
        image: The faces.
        template: What they were cut to; None: they are as the encoder wants them.
        points: (B,5,2), their five points in pixels, where they are known.
    """
    return encoder.embed(image, template, points)


def average_identity(embeddings: Tensor) -> Tensor:  # (B,E) -> (1,E)
    """One person's identity from several pictures: their mean direction, of unit length."""
    return F.normalize(embeddings.mean(0, keepdim=True), dim=1)


def mix_identities(embeddings: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
    """The weighted spherical mean of several people's identities, of unit length.

    It has the least weighted sum of squared angles to them (Buss and Fillmore 2001); of two people
    it is the point that divides the arc between them by their weights.

    Args:
        embeddings: (n or 1,E) each, of unit length, by one encoder.
        weights: One each, 0 or more; only their ratios count.

    Raises:
        ValueError: The embeddings are of different encoders, no weight is above 0, or the
            identities are opposites, which have no mean.

    Examples:
        >>> import torch
        >>> mix_identities([torch.eye(2)[:1], torch.eye(2)[1:]], [1, 1])
        tensor([[0.7071, 0.7071]])
    """
    if len(embeddings) != len(weights) or min(weights) < 0 or sum(weights) == 0:
        raise ValueError(
            f"weights are {', '.join(map(str, weights))} for {len(embeddings)} identities, "
            "expected one each, none below 0 and not all 0: give how much each counts"
        )
    if len(lengths := {each.shape[1] for each in embeddings}) > 1:
        raise ValueError(
            f"the identities have {' and '.join(map(str, sorted(lengths)))} numbers: make all with "
            "the same identity model"
        )
    people = torch.stack(torch.broadcast_tensors(*embeddings))  # (k,n,E)
    share = people.new_tensor(weights)[:, None, None] / sum(weights)
    chord = (share * people).sum(0)
    if chord.norm(dim=1).min() < 1e-3:
        raise ValueError("the identities are opposites, which have no mean: mix others")
    mean = F.normalize(chord, dim=1)
    for _ in range(MEAN_STEPS):
        mean = _step_on_sphere(mean, people, share)
    return mean


def _step_on_sphere(mean: Tensor, people: Tensor, share: Tensor) -> Tensor:  # (n,E), (k,n,E)
    """The mean moved along the weighted mean of the arcs from it to the people."""
    cosine = (people * mean).sum(2, keepdim=True).clamp(-1, 1)
    across = people - cosine * mean
    arc = (share * cosine.acos() * F.normalize(across, dim=2)).sum(0)
    length = arc.norm(dim=1, keepdim=True)
    return F.normalize(length.cos() * mean + length.sin() * F.normalize(arc, dim=1), dim=1)


def identity_distance(a: Tensor, b: Tensor) -> Tensor:  # (...,E), (...,E) -> (...)
    """1 - cos of two unit embeddings: 0 for the same face, about 1 for strangers, at most 2.

    Raises:
        ValueError: The embeddings are of different models.
    """
    if a.shape[-1] != b.shape[-1]:
        raise ValueError(
            f"one embedding has {a.shape[-1]} numbers, the other {b.shape[-1]}: "
            "make both with the same identity model"
        )
    return 1 - (a * b).sum(-1)
