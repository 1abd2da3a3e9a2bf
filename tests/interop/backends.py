"""Real Prometheus, Jaeger and Grafana: found on this machine, or fetched once and kept beside the environments.

Prometheus is Debian's package, unpacked and not installed. Jaeger is built from the Go module proxy, which takes ten
minutes on two cores, without its page: its query API is what is asked.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.interop.environments import KEPT

JAEGER_MODULE, JAEGER_VERSION = "github.com/jaegertracing/jaeger", "v1.76.0"
_GO_PLACES = ("go", "/usr/local/go/bin/go")
_BUILD_SECONDS = 3_600
_READY_SECONDS = 60.0


class NotObtainable(Exception):
    """Neither on this machine nor to be had from here."""


def prometheus_programs() -> tuple[Path, Path]:
    """`prometheus` and `promtool`. Raises NotObtainable."""
    found = [shutil.which(name) or str(KEPT / "prometheus" / name) for name in ("prometheus", "promtool")]
    if not all(Path(path).exists() for path in found):
        _unpack_debian("prometheus", KEPT / "prometheus")
    return Path(found[0]), Path(found[1])


def jaeger_program() -> Path:
    """All of Jaeger in one process, in memory. Raises NotObtainable."""
    kept = KEPT / "jaeger" / f"jaeger-{JAEGER_VERSION.removeprefix('v')}"
    if not kept.exists():
        go = next((path for path in map(shutil.which, _GO_PLACES) if path), None)
        if go is None:
            raise NotObtainable("there is no Go to build Jaeger with")
        kept.parent.mkdir(parents=True, exist_ok=True)
        # A C linker that fails as root removes its output, and the go command gives it /dev/null: no cgo.
        settings = {**os.environ, "CGO_ENABLED": "0"}
        module = f"{JAEGER_MODULE}@{JAEGER_VERSION}"
        source = json.loads(_run([go, "mod", "download", "-json", module], settings))["Dir"]
        _run([go, "build", "-C", source, "-ldflags=-s -w", "-o", str(kept), "./cmd/all-in-one"], settings)
    return kept


def grafana_home() -> tuple[Path, Path]:
    """Grafana's program and the folder of its files. Raises NotObtainable: no registry that is asked here has it."""
    home = Path(os.environ.get("GRAFANA_HOME", "/usr/share/grafana"))
    for program in (home / "bin" / "grafana", home / "bin" / "grafana-server"):
        if program.exists():
            return program, home
    raise NotObtainable(f"there is no Grafana in {home}; set GRAFANA_HOME to an unpacked release")


@contextmanager
def running(command: Sequence[str], ready_url: str, log: Path, settings: Mapping[str, str] = {}) -> Iterator[None]:
    """A program, from when its address answers until the end of the block."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env={**os.environ, **settings}
        )
        try:
            eventually(lambda: answers(ready_url) or process.poll() is not None, lambda: log.read_text()[-3000:])
            assert process.poll() is None, log.read_text()[-3000:]
            yield
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def answers(url: str) -> bool:
    """Whether a GET of it succeeds."""
    try:
        with urllib.request.urlopen(url, timeout=5):
            return True
    except (OSError, urllib.error.URLError):
        return False


def got(url: str) -> Any:
    """The JSON at an address."""
    try:
        with urllib.request.urlopen(url, timeout=30) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        return json.loads(error.read() or b"{}")


def eventually(is_so: Callable[[], Any], why: Callable[[], object] = str) -> Any:
    """What `is_so` returns once that is something; fails after a minute."""
    until_seconds = time.monotonic() + _READY_SECONDS
    while not (found := is_so()):
        assert time.monotonic() < until_seconds, why()
        time.sleep(0.1)
    return found


def _unpack_debian(package: str, folder: Path) -> None:
    if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
        raise NotObtainable(f"{package} is not installed, and this is no Debian to take its package from")
    folder.mkdir(parents=True, exist_ok=True)
    _run(["apt-get", "download", package], os.environ, folder)
    archive = next(folder.glob(f"{package}_*.deb"), None)
    if archive is None:
        raise NotObtainable(f"the package {package} cannot be downloaded")
    _run(["dpkg-deb", "-x", str(archive), str(folder / "unpacked")], os.environ)
    for program in (folder / "unpacked" / "usr" / "bin").iterdir():
        shutil.move(str(program), folder / program.name)
    shutil.rmtree(folder / "unpacked")
    archive.unlink()


def _run(command: Sequence[str], settings: Mapping[str, str], folder: Path | None = None) -> str:
    try:
        ran = subprocess.run(
            command, env=dict(settings), cwd=folder, capture_output=True, text=True, timeout=_BUILD_SECONDS, check=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        said = str(getattr(error, "stderr", None) or error)
        raise NotObtainable(f"{' '.join(command[:3])}: {said[-500:]}") from None
    return ran.stdout
