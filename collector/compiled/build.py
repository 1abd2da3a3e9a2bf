"""Makes the library with the C compiler of the machine, if it has one. Nothing but the standard library.

Also a command, `python collector/compiled/build.py`, which says what came of it.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

_SOURCES = ("plain.c", "levels.c", "attributes.c", "json.c")
_HEADER = "wire.h"
_FLAGS = ("-std=c11", "-O3", "-shared", "-fPIC", "-fvisibility=hidden", "-DNDEBUG")
_TIMEOUT_SECONDS = 60


def library_name(folder: Path) -> str:
    """The file of the library that belongs to the sources in `folder`, on this kind of machine.

    It names what they say, so that no library of other sources is ever loaded.
    """
    digest = hashlib.sha256()
    for name in (_HEADER, *_SOURCES):
        digest.update((folder / name).read_bytes())
    platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
    return f"kernels_{digest.hexdigest()[:16]}_{platform}.so"


def compiler() -> list[str] | None:
    """The command of the C compiler: `CC`, else what the system calls so.

    Raises:
        ValueError: `CC` is no command line.
    """
    said = shlex.split(os.environ.get("CC", ""))
    for command in (said, ["cc"], ["gcc"], ["clang"]):
        if command and shutil.which(command[0]):
            return command
    return None


def build(folder: Path, *, flags: tuple[str, ...] = ()) -> str:
    """Compile the library into `folder`, unless it is there; what was wrong, "" if nothing was. Never raises.

    The file appears whole or not at all, also if several do this at once or one is killed.
    """
    try:
        path = folder / library_name(folder)
        if path.exists():
            return ""
        command = compiler()
        if command is None:
            return "there is no C compiler (cc, gcc, clang or $CC)"
        with tempfile.TemporaryDirectory(dir=folder, prefix=".building_") as aside:
            made = Path(aside) / path.name
            sources = [str(folder / name) for name in _SOURCES]
            subprocess.run(
                [*command, *_FLAGS, *flags, "-o", str(made), *sources],
                check=True,
                capture_output=True,
                timeout=_TIMEOUT_SECONDS,
            )
            os.replace(made, path)
    except subprocess.CalledProcessError as error:
        return _failure(error.returncode, error.stderr)
    except subprocess.TimeoutExpired:
        return f"the C compiler took more than {_TIMEOUT_SECONDS} s"
    except ValueError as error:
        return f"CC is no command line ({error}): {os.environ.get('CC')}"
    except OSError as error:
        return str(error)
    _remove_others(path)
    return ""


def _failure(status: int, said: bytes) -> str:
    """What a compiler that ended with `status` said: its first error, else the last thing."""
    lines = [line.strip() for line in said.decode(errors="replace").splitlines() if line.strip()]
    errors = [line for line in lines if "error:" in line]
    return f"the C compiler failed with status {status}: {(errors or lines[-1:] or ['it said nothing'])[0]}"


def _remove_others(path: Path) -> None:
    """Libraries of other sources are never loaded; one that cannot be removed does no harm."""
    for old in path.parent.glob("kernels_*.so"):
        if old != path:
            with contextlib.suppress(OSError):
                old.unlink()


def main() -> None:
    """Build beside the sources; what went wrong is no failure, for the collector works without the library."""
    wrong = build(Path(__file__).parent)
    sys.stdout.write(
        f"loops in C are left out, ptars decodes alone: {wrong}\n" if wrong else "loops in C are compiled\n"
    )


if __name__ == "__main__":
    main()
