"""The rows of the table, and its grid."""

from __future__ import annotations

from ..figures import Figure, proportion
from ..measures import median_figure
from .measurements import GazeMeasurements

ERROR = "median error of the gaze, degrees"
LARGEST = 3.0  # degrees, the goal


def gaze_figures(m: GazeMeasurements) -> list[Figure]:
    """What is reached, beside what the judge can tell and what an edit costs without the goal."""
    off, gain = (m.reached - m.asked).abs(), m.edit_psnr - m.target_psnr
    return [
        median_figure(ERROR, m.error).at_most(LARGEST),
        median_figure("  of its pitch", off[:, 0]),
        median_figure("  of its yaw", off[:, 1]),
        median_figure("  before the edit", m.before),
        median_figure("  of the judge, on the true picture", m.floor),
        proportion("edits within 6 degrees", m.error <= 6),
        median_figure("median PSNR gain to the true picture in the mask, dB", gain),
        median_figure("median identity distance to the target, by the judge", m.identity),
        median_figure("  of the edit that keeps the gaze", m.kept_identity),
        median_figure("  of the true picture with that gaze", m.true_identity),
        proportion("outside the eyes bit-identical", m.outside_kept).at_least(1),
    ]


def cells(m: GazeMeasurements) -> dict[tuple[float, float], float]:
    """The median error of each pitch and yaw that was asked."""
    goals = [tuple(row) for row in m.asked.tolist()]
    return {
        goal: m.error[[k for k, each in enumerate(goals) if each == goal]].quantile(0.5).item()
        for goal in dict.fromkeys(goals)
    }


def grid_lines(m: GazeMeasurements) -> str:
    """The median errors, a line for each pitch and a column for each yaw."""
    errors = cells(m)
    pitches, yaws = (sorted({goal[k] for goal in errors}) for k in (0, 1))
    lines = ["pitch \\ yaw" + "".join(f"{yaw:>8g}" for yaw in yaws)]
    for pitch in reversed(pitches):
        row = "".join(f"{errors[pitch, yaw]:>8.1f}" for yaw in yaws)
        lines.append(f"{pitch:>11g}{row}")
    return "\n".join(lines)
