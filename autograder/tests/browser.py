"""Headless Chromium on a page: what it becomes after rendering, what the console says, how it looks."""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--enable-logging=stderr", "--v=0", "--hide-scrollbars"),
)


def needed() -> None:
    """Skip the test where there is no Chromium; in CI its absence is a failure."""
    if CHROMIUM is None:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)("needs Chromium: apt-get install chromium")


@dataclass(frozen=True)
class Rendered:
    """dom: the document after scripts, if any, have run; console: what the page made the browser say."""

    dom: str
    console: list[str]


def render(page: Path, profile: Path, *flags: str) -> Rendered:
    done = _run(profile, "--dump-dom", *flags, page.as_uri())
    return Rendered(done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line])


def picture(page: Path, to: Path, profile: Path, width: int, height: int, *flags: str) -> Path:
    """A screenshot, which must be there afterwards."""
    _run(profile, f"--screenshot={to}", f"--window-size={width},{height}", *flags, page.as_uri())
    assert to.stat().st_size > 1000
    return to


def print_to(page: Path, to: Path, profile: Path) -> Path:
    _run(profile, f"--print-to-pdf={to}", "--no-pdf-header-footer", page.as_uri())
    assert to.read_bytes().startswith(b"%PDF")
    return to


def _run(profile: Path, *arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [CHROMIUM, *FLAGS, f"--user-data-dir={profile}", *arguments], capture_output=True, text=True, timeout=90, check=False
    )
