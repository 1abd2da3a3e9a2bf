"""An environment per peer, made on first use from the package index, and kept."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[2] / "build" / "benchmarks"
INSTALL_SECONDS = 900.0


class NotInstallableError(Exception):
    """A peer's environment could not be made."""


def environment(name: str, requirement: str) -> Path:
    """Folder of the environment that holds `requirement`. Raises NotInstallableError."""
    folder = FOLDER / name
    mark = folder / "installed.txt"
    if mark.exists() and mark.read_text() == requirement:
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    uv = [sys.executable, "-m", "uv"]
    for command in (
        [*uv, "venv", "--quiet", "--python", sys.executable, str(folder)],
        [*uv, "pip", "install", "--quiet", "--python", str(folder / "bin" / "python"), requirement],
    ):
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_SECONDS, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise NotInstallableError(f"{requirement}: {error}") from error
        if done.returncode:
            raise NotInstallableError(f"{requirement}: {done.stderr.strip()[-400:]}")
    mark.write_text(requirement)
    return folder
