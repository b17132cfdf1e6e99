"""What happened during an edit: a series for each metric, with a value per step and picture."""

import csv
import io
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor


class Sample(NamedTuple):
    """The values of one metric at step `t`, one a picture."""

    t: int
    values: tuple[float, ...]

    @property
    def mean(self) -> float:
        return math.fsum(self.values) / len(self.values)


class Summary(NamedTuple):
    """One metric over a whole edit, each figure the mean over the pictures."""

    first: float
    last: float
    lowest: float
    highest: float


@dataclass
class EditMetrics:
    """Series by metric name, in the order of their recording; t falls towards 0."""

    series: dict[str, list[Sample]] = field(default_factory=dict)

    def record(self, name: str, t: int, values: Tensor) -> None:  # (B,)
        """Add the values of step `t`, one a picture, to the series `name`."""
        if values.ndim != 1 or len(values) == 0:
            raise ValueError(
                f"{name} has shape {tuple(values.shape)}, expected (batch,): "
                "record one value for each picture"
            )
        sample = Sample(t, tuple(values.detach().to("cpu", torch.float64).tolist()))
        self.series.setdefault(name, []).append(sample)

    def reordered(self, order: Sequence[int]) -> "EditMetrics":
        """The same series, with picture `order[k]` in place k."""
        return EditMetrics(
            {
                name: [Sample(t, tuple(values[k] for k in order)) for t, values in samples]
                for name, samples in self.series.items()
            }
        )

    def summary(self) -> dict[str, Summary]:
        """First, last, lowest and highest mean of every series."""
        means = {name: [sample.mean for sample in samples] for name, samples in self.series.items()}
        return {name: Summary(m[0], m[-1], min(m), max(m)) for name, m in means.items()}

    def to_json(self) -> str:
        """`{name: [{"t": t, "values": [...]}, ...]}`; a value that is not finite becomes null."""
        series = {
            name: [
                {"t": t, "values": [v if math.isfinite(v) else None for v in values]}
                for t, values in samples
            ]
            for name, samples in self.series.items()
        }
        return json.dumps(series, indent=2, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "EditMetrics":
        """Reads what `to_json` wrote; null becomes NaN."""
        return cls(
            {
                name: [
                    Sample(s["t"], tuple(math.nan if v is None else v for v in s["values"]))
                    for s in samples
                ]
                for name, samples in json.loads(text).items()
            }
        )

    def to_csv(self) -> str:
        """A row for each value: metric, t, picture, value."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(("metric", "t", "picture", "value"))
        for name, samples in self.series.items():
            for t, values in samples:
                writer.writerows((name, t, k, value) for k, value in enumerate(values))
        return text.getvalue()

    def plot(self) -> Tensor:  # (H,W,3) in [0,1]
        """A panel for each metric: every picture as a thin line, their mean bold."""
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        figure = Figure(figsize=(6, 2 * max(1, len(self.series))), layout="constrained")
        panels = figure.subplots(max(1, len(self.series)), squeeze=False)[:, 0]
        for panel, (name, samples) in zip(panels, self.series.items(), strict=False):
            _draw(panel, name, samples)
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        return torch.from_numpy(np.array(canvas.buffer_rgba()))[..., :3].float() / 255


def _draw(panel, name: str, samples: list[Sample]) -> None:
    steps = [sample.t for sample in samples]
    panel.plot(steps, [sample.values for sample in samples], color="tab:blue", alpha=0.3, lw=0.8)
    panel.plot(steps, [sample.mean for sample in samples], color="tab:blue", lw=2)
    panel.set(title=name, xlabel="t")
    panel.invert_xaxis()
