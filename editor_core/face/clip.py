"""CLIP: pictures and texts as unit vectors of one space (arXiv 2103.00020)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..declare import check, setting
from ..images import clip_normalise, resize


@dataclass(frozen=True)
class ClipEncoder:
    """CLIP's network of pictures with the input it was trained on, and that of texts beside it."""

    network: nn.Module  # (B,3,size,size), normalised -> (B,E)
    texts: Callable[[Sequence[str]], Tensor]  # k texts -> (k,E) of the same space
    size: int = 224
    normalise: Callable[[Tensor], Tensor] = clip_normalise

    def embed(self, image: Tensor) -> Tensor:  # (B,3,H,W) in [-1, 1] -> (B,E)
        """The embedding of a whole picture, of unit length."""
        return self.embed_view(resize(image, self.size))

    def embed_view(self, view: Tensor) -> Tensor:  # (B,3,size,size) in [-1, 1] -> (B,E)
        """The embedding, of unit length, of a picture that is resized already."""
        return F.normalize(self.network(self.normalise(view)), dim=1)

    @torch.no_grad()
    def embed_texts(self, texts: Sequence[str]) -> Tensor:  # k texts -> (k,E)
        """The embedding of every text, of unit length, without gradient."""
        return F.normalize(self.texts(texts), dim=1)


@dataclass(frozen=True)
class TextWish:
    """What a picture is asked to be more like, and than what."""

    prompt: str = setting(
        "",
        "What the edit should show, a wish a line, in the words of captions: a face with a beard.",
    )
    negative_prompt: str = setting(
        "a face",
        "What it should not be, one line for all wishes or one for each. Best is the prompt in all "
        "but the wish: a clean-shaven face.",
    )
    margin: float = setting(
        0.03,
        "By how much an edit must be more like the prompt than like the negative prompt, in "
        "cosines: CLIP is about 95% sure at 0.03. More asks for a clearer change.",
        low=0.0,
        high=2.0,
        step=0.005,
    )

    def __post_init__(self) -> None:
        check(self)

    def pairs(self) -> list[tuple[str, str]]:
        """Each wish beside what it should not be.

        Raises:
            ValueError: There is no wish, or another number of negative ones.
        """
        wanted, other = (
            [line.strip() for line in text.splitlines() if line.strip()]
            for text in (self.prompt, self.negative_prompt)
        )
        if not wanted:
            raise ValueError(
                "prompt is empty, expected what the edit should show: write a wish a line"
            )
        if len(other) not in (1, len(wanted)):
            raise ValueError(
                f"negative_prompt has {len(other)} lines, prompt has {len(wanted)}: write one line "
                "for all wishes, or one for each"
            )
        return list(zip(wanted, other * len(wanted) if len(other) == 1 else other, strict=True))


def text_directions(encoder: ClipEncoder, wish: TextWish) -> Tensor:  # (k,E)
    """Each wish as a direction: from what a picture should not be to what it should.

    The product with a picture's embedding is how much more it is like the one than like the other,
    in cosines; that is CLIP's own decision between two texts.
    """
    wanted, other = zip(*wish.pairs(), strict=True)
    return encoder.embed_texts(wanted) - encoder.embed_texts(other)
