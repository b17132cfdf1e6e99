from typing import Any

class BASE:
    custom_operations: Any
    def __init__(self, unet_config: dict[str, Any]) -> None: ...
