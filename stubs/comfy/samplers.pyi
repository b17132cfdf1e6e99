from typing import Any

from torch import Tensor

class Sampler:
    def max_denoise(self, model_wrap: Any, sigmas: Tensor) -> bool: ...
