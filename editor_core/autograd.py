"""The gradient context that loading and editing share."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def gradients() -> Iterator[None]:
    """Switch gradients on, even inside a caller's `torch.inference_mode()`.

    Networks must be built and moved in this context as well: a tensor made in inference mode can
    never be saved for a backward pass.
    """
    with torch.inference_mode(False), torch.enable_grad():
        yield
