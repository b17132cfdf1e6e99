"""The gradient context that loading and editing share."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def gradients() -> Iterator[None]:
    """Switches gradients on, even inside a caller's `torch.inference_mode()`.

    Networks must be built and moved in here as well: a tensor made in inference mode can never be
    saved for backward.
    """
    with torch.inference_mode(False), torch.enable_grad():
        yield
