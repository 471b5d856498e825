"""Which accelerators this machine has."""

import os
import sys
from pathlib import Path


def has_device(device: str) -> bool:
    """Whether there is such a device, asked without importing torch."""
    if device == "cuda":
        return Path("/dev/nvidiactl").exists()
    return sys.platform == "darwin" and os.uname().machine == "arm64"
