"""Which steps of a long schedule a short one keeps (Improved DDPM, arXiv 2102.09672, section 4)."""

from collections.abc import Iterator
from itertools import accumulate, repeat


def spaced_steps(spec: str, steps: int) -> list[int]:
    """The steps of a schedule of `steps` that a respacing keeps, ascending.

    "100" spreads 100 over all, "10,20" spreads 10 over the first half and 20 over the second,
    "ddim25" takes every n-th such that 25 are taken (DDIM, arXiv 2010.02502, appendix D.2).
    """
    if spec.startswith("ddim"):
        return _strided_steps(_count(spec.removeprefix("ddim"), spec), steps)
    return list(_section_steps([_count(part, spec) for part in spec.split(",")], steps))


def _count(text: str, spec: str) -> int:
    if not text.strip().isdecimal() or int(text) < 1:
        raise ValueError(
            f'respacing is "{spec}", expected counts of 1 or more: write "100", "10,10" or "ddim25"'
        )
    return int(text)


def _strided_steps(count: int, steps: int) -> list[int]:
    for stride in range(1, steps + 1):
        if len(range(0, steps, stride)) == count:
            return list(range(0, steps, stride))
    raise ValueError(
        f'no whole stride takes {count} of {steps} steps: write "{count}" without "ddim"'
    )


def _section_steps(counts: list[int], steps: int) -> Iterator[int]:
    size, longer = divmod(steps, len(counts))
    start = 0
    for index, count in enumerate(counts):
        length = size + (index < longer)
        if count > length:
            raise ValueError(
                f"respacing asks {count} of a section of {length} steps: ask at most {length}"
            )
        stride = (length - 1) / max(count - 1, 1)
        # Summing the stride, as published samplers do, decides how halves round.
        yield from (start + round(at) for at in accumulate(repeat(stride, count - 1), initial=0.0))
        start += length
