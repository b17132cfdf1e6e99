"""How much memory one step takes, measured in a process of its own."""

from __future__ import annotations

import ctypes
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import torch

from .steps import WAYS
from .subject import subject

STATUS = Path("/proc/self/status")  # Linux
ROOT = Path(__file__).resolve().parents[2]
MIB = 2**20
CHILD = """
import sys, tools
tools.load_checkout()
from guided_face_edit.tools.benchmark import memory
memory.main(*sys.argv[1:])
"""


@dataclass(frozen=True)
class Memory:
    """MiB."""

    before: float  # the models loaded and the pair bound
    peak: float  # the most at any time during the step

    @property
    def step(self) -> float:
        """What the step adds."""
        return self.peak - self.before


def measurable() -> bool:
    """Whether this machine tells a process its peak."""
    return STATUS.exists() or torch.cuda.is_available()


def memory_of(config: str, way: str, threads: int) -> Memory:
    """The memory of a step in a fresh process."""
    command = [sys.executable, "-c", CHILD, config, way, str(threads)]
    ended = subprocess.run(
        command, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    if ended.returncode:
        raise ChildProcessError(f"measuring {way} of {config} failed: {ended.stderr[-500:]}")
    return Memory(**json.loads(ended.stdout))


def main(config: str, way: str, threads: str) -> None:
    """Measures in this process, into which a step's libraries have been loaded before."""
    import kornia.geometry  # noqa: F401

    torch.set_num_threads(int(threads))
    run = WAYS[way].made_of(subject(config))
    before = settled()
    run()
    sys.stdout.write(json.dumps({"before": before, "peak": peak()}))


def settled() -> float:
    """MiB in use, once everything unused is handed back; the peak is forgotten."""
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
        return torch.cuda.memory_allocated() / MIB
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")
    return _status("VmRSS")


def peak() -> float:
    """The most MiB in use since `settled`."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / MIB
    return _status("VmHWM")


def _status(field: str) -> float:
    lines = (line.split() for line in STATUS.read_text().splitlines())
    return next(int(words[1]) for words in lines if words[0] == f"{field}:") / 1024
