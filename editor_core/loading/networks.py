"""Networks made for the tensors of a file."""

from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import nn

from ..models.configs import StateDict
from ..models.unet import UNet
from ..models.unet2d import UNet2D

Network = TypeVar("Network", bound=nn.Module)


def load_network(network: Callable[[Any], Network], config: object, tensors: StateDict) -> Network:
    """A network with the tensors of a file, in full precision, evaluation mode and without grad.

    It is made without values of its own, so that nothing is computed or drawn for them.
    """
    with torch.device("meta"):
        made = network(config)
    full = {name: t.float() if t.is_floating_point() else t for name, t in tensors.items()}
    made.load_state_dict(full, strict=True, assign=True)
    return made.eval().requires_grad_(False)


def channels_last(network: Network) -> Network:
    """The network in the memory format in which large convolutions run a fifth faster on a CPU."""
    return network.to(memory_format=torch.channels_last)


def with_memory_format(network: UNet | UNet2D) -> UNet | UNet2D:
    """A wide U-Net with channels last, which is 5% faster for it and slower for a narrow one."""
    return channels_last(network) if network.config.model_channels >= 128 else network
