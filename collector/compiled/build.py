"""Makes the library with the C compiler of the machine, if it has one. Nothing but the standard library.

Also a command, `python collector/compiled/build.py`, which says what came of it.
"""

from __future__ import annotations

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
    """The command of the C compiler: `CC`, else what the system calls so."""
    said = shlex.split(os.environ.get("CC", ""))
    for command in (said, ["cc"], ["gcc"], ["clang"]):
        if command and shutil.which(command[0]):
            return command
    return None


def build(folder: Path, *, flags: tuple[str, ...] = ()) -> str:
    """Compile the library into `folder`, unless it is there; what was wrong, "" if nothing was. Never raises OSError.

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
        last = error.stderr.decode(errors="replace").strip().splitlines()[-1:]
        return f"the C compiler failed: {''.join(last)}"
    except subprocess.TimeoutExpired:
        return f"the C compiler took more than {_TIMEOUT_SECONDS} s"
    except OSError as error:
        return str(error)
    for old in folder.glob("kernels_*.so"):
        if old != path:
            old.unlink(missing_ok=True)
    return ""


def main() -> None:
    """Build beside the sources; what went wrong is no failure, for the collector works without the library."""
    wrong = build(Path(__file__).parent)
    sys.stdout.write(
        f"loops in C are left out, ptars decodes alone: {wrong}\n" if wrong else "loops in C are compiled\n"
    )


if __name__ == "__main__":
    main()
