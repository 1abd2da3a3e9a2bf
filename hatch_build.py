"""Puts the loops in C into the package, where there is a C compiler. Without one it is a package for any machine."""

from __future__ import annotations

import importlib.util
import sys
import sysconfig
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

FOLDER = "collector/compiled"


class CompileHook(BuildHookInterface):
    """Of wheels, and of editable installs, which find the library beside its sources."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile; a wheel with the library is for this kind of machine only. Never fails for want of a compiler."""
        folder = Path(self.root) / FOLDER
        spec = importlib.util.spec_from_file_location("otel_cost_build", folder / "build.py")
        assert spec is not None
        assert spec.loader is not None
        builder = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(builder)
        wrong = builder.build(folder)
        if wrong:
            sys.stderr.write(f"otel-cost is installed without its loops in C: {wrong}\n")
            return
        name = builder.library_name(folder)
        build_data["force_include"][str(folder / name)] = f"{FOLDER}/{name}"
        build_data["pure_python"] = False
        platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
        build_data["tag"] = f"py3-none-{platform}"
