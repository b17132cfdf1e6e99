from torch import Tensor

class VAE:
    def __init__(self, sd: dict[str, Tensor]) -> None: ...
