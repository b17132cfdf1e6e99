from enum import Enum
from typing import Any

from torch import Tensor, nn

class ModelType(Enum):
    EPS = 1
    V_PREDICTION = 2

class BaseModel(nn.Module):
    diffusion_model: Any
    model_sampling: Any
    def __init__(self, model_config: Any, model_type: ModelType) -> None: ...
    def extra_conds(self, **given: Any) -> dict[str, Any]: ...
    def _apply_model(self, *args: Any, **options: Any) -> Tensor: ...
