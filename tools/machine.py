"""The machine that figures are of; never its name or its folders."""

import os
import platform
import re
from pathlib import Path

import torch

CPUINFO = Path("/proc/cpuinfo")  # Linux


def describe_machine() -> dict[str, str | int]:
    """What a reader needs to compare."""
    named = CPUINFO.exists() and re.search(r"^model name\s*:\s*(.+)", CPUINFO.read_text(), re.M)
    return {
        "cpu": named[1].strip() if named else platform.processor() or platform.machine(),
        "cores": os.cpu_count() or 1,
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else "none",
        "torch": torch.__version__,
        "python": platform.python_version(),
        "system": platform.system(),
    }
