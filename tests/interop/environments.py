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
    digest = hashlib.sha256(requirements.read_bytes()).hexdigest()
    home, stamp = KEPT / name, KEPT / name / "requirements.sha256"
    if not (stamp.exists() and stamp.read_text() == digest):
        _uv("venv", "--quiet", "--clear", "--python", sys.executable, str(home))
        python = str(home / "bin" / "python")
        _uv("pip", "install", "--quiet", "--python", python, "-r", str(requirements))
        _uv("pip", "install", "--quiet", "--no-deps", "--python", python, "--editable", str(ROOT))
        stamp.write_text(digest)
    return home / "bin"


def _uv(*arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "uv", *arguments], check=True, timeout=600)
