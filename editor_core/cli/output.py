"""What the commands that edit show and write: a progress bar, and the metadata of pictures."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from tqdm import tqdm

from ..diffusion.sampling import Step, StepCallback
from ..loading.known_files import cached_sha256
from ..loading.models import find_models
from ..provenance import picture_metadata
from ..settings import EditSettings


def progress_on(bar: tqdm) -> StepCallback:
    """A step callback that moves the bar, and sets its length."""

    def on_step(step: Step) -> None:
        bar.total = step.total
        bar.update()

    return on_step


def settings_as_json(name: str, settings: EditSettings) -> dict[str, Any]:
    """The settings with the name of the preset that they began from."""
    return {"preset": name, **asdict(settings)}


def edit_metadata(
    name: str, settings: EditSettings, models: Path, precision: str = "fp32"
) -> dict[str, str]:
    """The text chunks of an edited PNG; `name` is the preset's, `models` the files' folder."""
    files = find_models(models).values()
    hashes = {path.relative_to(models).as_posix(): cached_sha256(path) for path in files}
    return picture_metadata({**settings_as_json(name, settings), "precision": precision}, hashes)
