"""A virtual environment per case, made once and kept until its requirements change."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
KEPT = ROOT / ".interop"


def environment(name: str, requirements: Path) -> Path:
    """The `bin` folder of the case's environment: its requirements plus otel-cost's app half.

    Raises:
        subprocess.CalledProcessError: the requirements cannot be installed.
    """
    home = KEPT / name
    python = str(home / "bin" / "python")
    if _is_new(home / "requirements.sha256", requirements):
        _uv("venv", "--quiet", "--clear", "--python", sys.executable, str(home))
        _uv("pip", "install", "--quiet", "--python", python, "-r", str(requirements))
        _keep(home / "requirements.sha256", requirements)
    if _is_new(home / "pyproject.sha256", ROOT / "pyproject.toml"):  # entry points are copied when it is installed
        _uv("pip", "install", "--quiet", "--no-deps", "--python", python, "--editable", str(ROOT))
        _keep(home / "pyproject.sha256", ROOT / "pyproject.toml")
    return home / "bin"


def _is_new(stamp: Path, file: Path) -> bool:
    return not (stamp.exists() and stamp.read_text() == _digest(file))


def _keep(stamp: Path, file: Path) -> None:
    stamp.write_text(_digest(file))


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _uv(*arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "uv", *arguments], check=True, timeout=600)
