"""To be told when the app imports a library: hooking costs no import of what the app never uses.

The alternative, importing whatever is installed, would cost some 300 ms at start-up (httpx, aiohttp, botocore and what
they import) in apps that use none of it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType
from typing import Any


class ImportWatcher(MetaPathFinder):
    """Calls `told(name)` after each of the modules `names` has been imported; everything else it leaves alone."""

    def __init__(self, names: Sequence[str], told: Callable[[str], object]) -> None:
        self._names = frozenset(names)
        self._told = told
        self._looking: set[str] = set()

    def start(self) -> None:
        """Watch from here on; again changes nothing."""
        if self not in sys.meta_path:
            sys.meta_path.insert(0, self)

    def stop(self) -> None:
        """Watch no longer."""
        if self in sys.meta_path:
            sys.meta_path.remove(self)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The spec that the other finders have, with a loader that tells."""
        if fullname not in self._names or fullname in self._looking:
            return None
        self._looking.add(fullname)
        try:
            spec = find_spec(fullname)
        finally:
            self._looking.discard(fullname)
        if spec is not None and spec.loader is not None and hasattr(spec.loader, "exec_module"):
            spec.loader = _Telling(spec.loader, self._told)
        return spec


class _Telling(Loader):
    """A module's own loader, which is asked for everything."""

    def __init__(self, inner: Loader, told: Callable[[str], object]) -> None:
        self._inner = inner
        self._told = told

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._inner.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        spec = module.__spec__
        if spec is not None:
            spec.loader = self._inner  # as everybody else expects it to be
        module.__loader__ = self._inner
        self._inner.exec_module(module)
        self._told(module.__name__)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)
