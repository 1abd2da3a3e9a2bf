"""Replacing functions of libraries that the app has: when it imports them, once, and so that it can be undone.

Importing whatever is installed instead would cost some 300 ms at start-up in an app that uses none of it.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterable, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType
from typing import Any

from otel_cost.instrument.guard import STATS

Told = Callable[[ModuleType], object]


def when_imported(name: str, told: Told) -> None:
    """Call `told` with the module `name`: at once if the app has imported it, else as soon as it has.

    What `told` raises is counted, never raised.
    """
    with _WATCHER.lock:
        module = sys.modules.get(name)
        initializing = getattr(getattr(module, "__spec__", None), "_initializing", False)
        if module is None or (initializing and name in _WATCHER.found):
            _WATCHER.waiting.setdefault(name, []).append(told)
            if _WATCHER not in sys.meta_path:
                sys.meta_path.insert(0, _WATCHER)
            return
    _tell(told, module)


def _tell(told: Told, module: ModuleType) -> None:
    try:
        told(module)
    except Exception as error:
        STATS.failed(f"instrument.{module.__name__}", error)


class _Watcher(MetaPathFinder):
    """Lets the other finders find a module that is waited for, and is there when it has been executed."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.waiting: dict[str, list[Told]] = {}
        self.found: set[str] = set()
        self._searching = threading.local()

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The spec that the other finders have, with a loader that tells."""
        if fullname not in self.waiting or getattr(self._searching, "name", None) == fullname:
            return None
        outer, self._searching.name = getattr(self._searching, "name", None), fullname
        try:
            spec = find_spec(fullname)
            if spec is not None and hasattr(spec.loader, "exec_module"):
                spec.loader = _Loader(spec.loader, self)  # type: ignore[arg-type]
                self.found.add(fullname)
        except Exception as error:  # the app's import goes on without us
            STATS.failed(f"instrument.{fullname}", error)
            return None
        finally:
            self._searching.name = outer
        return spec

    def executed(self, module: ModuleType) -> None:
        """Tell everybody who waits for it."""
        with self.lock:
            self.found.discard(module.__name__)
            waiting = self.waiting.pop(module.__name__, [])
        for told in waiting:
            _tell(told, module)


class _Loader(Loader):
    """The module's own loader, which steps back into its place before the module's code can ask for it."""

    def __init__(self, inner: Loader, watcher: _Watcher) -> None:
        self._inner = inner
        self._watcher = watcher

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._inner.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        module.__loader__ = self._inner
        if module.__spec__ is not None:
            module.__spec__.loader = self._inner
        self._inner.exec_module(module)
        try:
            self._watcher.executed(module)
        except Exception as error:
            STATS.failed(f"instrument.{module.__name__}", error)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


_WATCHER = _Watcher()


class Patch:
    """One function of a module or class, replaced by `wrap(function)` from `apply()` to `undo()`.

    If another instrumentation wraps ours in the meantime, `apply()` wraps that once more, so that its spans are inside
    of ours, and `undo()` leaves ours where it is: a wrapper has to ask its `Hook` whether it is switched on, and to do
    nothing inside of another call of it. `wrap` gets the function as the class gives it, not as its dict has it: so
    the descriptors that other tools put there know their instance.
    """

    def __init__(self, owner: Any, name: str, wrap: Callable[[Any], Any]) -> None:
        self._owner, self._name, self._wrap = owner, name, wrap
        self._replaced: Any = None
        self._wrapper: Any = None

    def apply(self) -> None:
        """Replace the function, unless ours is there."""
        found = vars(self._owner)[self._name]
        if self._wrapper is None or found is not self._wrapper:
            self._replaced = found
            self._wrapper = self._wrap(getattr(self._owner, self._name))
            setattr(self._owner, self._name, self._wrapper)

    def undo(self) -> None:
        """Put the function back that was there, unless somebody has replaced ours."""
        if self._wrapper is not None and vars(self._owner).get(self._name) is self._wrapper:
            setattr(self._owner, self._name, self._replaced)
            self._wrapper = None


class Hook:
    """The patches of one library: applied when the app has imported `module`, while it is switched on."""

    def __init__(self, module: str, patches: Callable[[ModuleType], Iterable[Patch]]) -> None:
        self.is_on = False
        """Whether calls are to be observed: wrappers ask, as they may outlive `uninstrument()`."""
        self._module = module
        self._find_patches = patches
        self._patches: list[Patch] | None = None
        self._is_waiting = False
        self._lock = threading.RLock()

    def instrument(self) -> bool:
        """Switch on, now or when the library is imported; again changes nothing."""
        with self._lock:
            self.is_on = True
            if self._patches is None and not self._is_waiting:
                self._is_waiting = True
                when_imported(self._module, self._imported)
            for patch in self._patches or ():
                patch.apply()
        return True

    def uninstrument(self) -> None:
        """Switch off; again changes nothing."""
        with self._lock:
            self.is_on = False
            for patch in self._patches or ():
                patch.undo()

    def _imported(self, module: ModuleType) -> None:
        with self._lock:
            self._patches = list(self._find_patches(module))
            if self.is_on:
                for patch in self._patches:
                    patch.apply()
