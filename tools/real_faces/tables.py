"""The rows of the table: what edits of real faces achieve, and what each term adds to it."""

from collections.abc import Mapping

from ..figures import Figure, bootstrap, proportion
from ..measures import (
    GAZE,
    PARSING,
    TERM_METRICS,
    ablation,
    mean_figure,
    mean_iou,
    median_figure,
)
from .measuring import RealMeasures

ALL, NONE = "every term", "no term"  # ways of editing


def without(term: str) -> str:
    """The name of the way of editing that leaves a term out."""
    return f"without {term}"


def table(ways: Mapping[str, RealMeasures]) -> list[Figure]:
    """All rows of what was measured; every term's at least."""
    rows = [*edit_quality(ways[ALL]), *ablations(ways)]
    return [*rows, *limits(ways[NONE])] if NONE in ways else rows


def edit_quality(on: RealMeasures) -> list[Figure]:
    """What edits under every term achieve."""
    return [
        mean_figure("cosine to the source, by the judge", on.judge).at_least(0.45),
        mean_figure("  of the target as it was", on.judge_before),
        mean_figure("cosine to the source, by the guide", on.guide).at_least(0.65),
        mean_figure("  of the target as it was", on.guide_before),
        proportion("source retrieved first, by the judge", on.rank == 0).at_least(0.8),
        proportion("nearer to the source than to the target", on.judge > on.judge_target),
        bootstrap(PARSING, lambda rows: mean_iou(on, rows), len(on.rank)).at_least(0.75),
        median_figure("sharpness inside the mask, share of the target's", on.sharpness).at_least(
            0.8
        ),
        *gaze(on),
        mean_figure("LPIPS to the target, background", on.lpips),
        proportion("background bit-identical", on.background_kept).at_least(1),
    ]


def gaze(on: RealMeasures) -> list[Figure]:
    """The gaze where a judge found it."""
    error = on.gaze_error[~on.gaze_error.isnan()]
    return [median_figure(GAZE, error).at_most(6.4)] if len(error) else []


def limits(none: RealMeasures) -> list[Figure]:
    """What noising and denoising leaves of the target itself: no edit can be better."""
    parsing = bootstrap(f"no term: {PARSING}", lambda rows: mean_iou(none, rows), len(none.rank))
    return [
        mean_figure("no term: cosine to the target, by the judge", none.judge_target),
        parsing,
        median_figure("no term: sharpness, share of the target's", none.sharpness),
    ]


def ablations(ways: Mapping[str, RealMeasures]) -> list[Figure]:
    """Each term's own metric, on less off, of those terms that were left out once."""
    rows = [
        ablation(term, ways[ALL], ways[without(term)])
        for term in TERM_METRICS
        if without(term) in ways
    ]
    return [row for row in rows if row.value == row.value]  # a gaze that nobody measured is NaN
