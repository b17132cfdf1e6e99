"""The demo's trained models, as they lie in `weights/`."""

from pathlib import Path

from ..loading.models import FaceModels, load_models

WEIGHTS = Path(__file__).parent / "weights"


def demo_file(kind: str) -> Path:
    """Laid out as ComfyUI's model folders are, one folder a kind."""
    return WEIGHTS / kind / "demo.safetensors"


def load_demo_models() -> FaceModels:
    """The five models that edit."""
    return load_models(WEIGHTS)
