"""What is measured in processes of their own: the memory of a step, and how long imports take."""

import ctypes
import json
import re
import subprocess
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch

from .. import ROOT
from .steps import VARIANTS
from .subject import load_subject
from .timing import Task

STATUS = Path("/proc/self/status")  # Linux
MIB = 2**20
MEASURE_MEMORY = """
import sys, tools
tools.load_checkout()
from guided_face_edit.tools.benchmark.processes import print_memory
print_memory(*sys.argv[1:])
"""
IMPORTS = ("import torch", "import editor_core", "import editor_core.editing")
STARTS = {"python alone": "pass", **{code: code for code in IMPORTS}}


def importing(code: str) -> Task:
    """The task of running code in a fresh Python."""
    command = [sys.executable, "-c", code]
    return partial(subprocess.run, command, cwd=ROOT, stdin=subprocess.DEVNULL, check=True)


@dataclass(frozen=True)
class Memory:
    """MiB."""

    before: float  # the models loaded and the pair bound
    peak: float  # the most at any time during the step

    @property
    def step(self) -> float:
        """What the step adds."""
        return self.peak - self.before


def can_measure_memory() -> bool:
    """Whether this machine records the peak of a process."""
    return STATUS.exists() or torch.cuda.is_available()


def measure_memory(config: str, variant: str, threads: int) -> Memory:
    """The memory of a step in a fresh process."""
    command = [sys.executable, "-c", MEASURE_MEMORY, config, variant, str(threads)]
    ended = subprocess.run(command, cwd=ROOT, input="", capture_output=True, text=True)
    if ended.returncode:
        raise ChildProcessError(f"measuring {variant} of {config} failed: {ended.stderr[-500:]}")
    return Memory(**json.loads(ended.stdout))


def print_memory(config: str, variant: str, threads: str) -> None:
    """Measure in this process, into which a step's libraries have been loaded before."""
    import kornia.geometry  # noqa: F401

    torch.set_num_threads(int(threads))
    task = VARIANTS[variant].build(load_subject(config))
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated() / MIB
        task()
        peak = torch.cuda.max_memory_allocated() / MIB
    else:
        ctypes.CDLL(None).malloc_trim(0)
        Path("/proc/self/clear_refs").write_text("5")  # forgets the peak
        before = _status("VmRSS")
        task()
        peak = _status("VmHWM")
    print(json.dumps({"before": before, "peak": peak}))


def _status(field: str) -> float:
    """MiB of this process."""
    found = re.search(rf"^{field}:\s*(\d+) kB", STATUS.read_text(), re.M)
    assert found is not None  # Linux lists both
    return int(found[1]) / 1024
