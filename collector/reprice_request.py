"""Asking a running collector for a price run: a file in the ledger's folder, and its answer beside it.

    requests/
        ID.request      what is wanted, as JSON; locked by whoever wants it for as long as it lives
        ID.answer       what became of it, as JSON

Whoever can write into that folder can already do anything to the ledger, so nothing new is exposed, and nobody has to
know an address. A request whose lock is gone, or that was removed, is wanted no more.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal, Self

from collector.errors import CollectorError
from collector.store.layout import Layout
from collector.store.lock import InstanceLock
from collector.store.manifest import make_folder

POLL_SECONDS = 0.1
ANSWER_AFTER_REMOVAL_SECONDS = 10.0
"""Somebody who gives up waits so long to hear whether it was too late."""

FOLDER = "requests"
_REQUEST, _ANSWER = ".request", ".answer"

Action = Literal["dry-run", "apply", "undo"]
Answer = dict[str, Any]


class NotAnswered(CollectorError):
    """The collector cannot be asked, or ended before it had answered."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """One thing to be done; times are nanoseconds since the epoch, `until_ns` excluded."""

    action: Action
    by: str
    since_ns: int | None = None
    until_ns: int | None = None
    models: tuple[str, ...] = ()
    providers: tuple[str, ...] = ()
    organizations: tuple[str, ...] = ()
    card: str = "current"  # or the digest of a version, or a date
    name: str | None = None

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Raises ValueError for what is no request of this version."""
        said = json.loads(text)
        known = {field.name for field in fields(cls)}
        if not isinstance(said, dict) or not {"action", "by"} <= said.keys() <= known:
            raise ValueError("this is no request of this version of otel-cost")
        values: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in said.items()
        }
        return cls(**values)


def ask(path: Path, wanted: Wanted) -> Answer:
    """Have the collector that holds the ledger at `path` do it. Ends with KeyboardInterrupt as it began: undone.

    Raises NotAnswered.
    """
    folder = Layout.of(path).folder / FOLDER
    name = uuid.uuid4().hex
    request = folder / f"{name}{_REQUEST}"
    with _placed(request, json.dumps(asdict(wanted))):
        try:
            return _answer(path, folder / f"{name}{_ANSWER}", lambda: True)
        except KeyboardInterrupt:
            request.unlink(missing_ok=True)
            deadline = time.monotonic() + ANSWER_AFTER_REMOVAL_SECONDS
            answer = _answer(path, folder / f"{name}{_ANSWER}", lambda: time.monotonic() < deadline)
            if answer.get("cancelled"):
                raise
            return answer


@contextlib.contextmanager
def _placed(request: Path, text: str) -> Iterator[None]:
    """A locked request for the time of the block."""
    partial = request.with_suffix(".partial")
    try:
        make_folder(request.parent)
        descriptor = os.open(partial, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise NotAnswered(f"{request.parent}: the collector cannot be asked: {error.strerror}") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        os.write(descriptor, text.encode())
        os.replace(partial, request)
        yield
    finally:
        for path in (partial, request):
            path.unlink(missing_ok=True)
        os.close(descriptor)


def _answer(path: Path, answer: Path, patient: Callable[[], bool]) -> Answer:
    lock = InstanceLock(Layout.of(path).lock)
    while patient():
        runs = lock.is_held()
        if answer.exists():
            found: Answer = json.loads(answer.read_text())
            answer.unlink(missing_ok=True)
            return found
        if not runs:
            raise NotAnswered("the collector has stopped before it had answered; `otel-cost reprice list` says what is")
        time.sleep(POLL_SECONDS)
    raise NotAnswered("the collector has not said whether it stopped in time; `otel-cost reprice list` does")


@dataclass(frozen=True, slots=True)
class Pending:
    """A request that waits, or is being served."""

    path: Path

    def read(self) -> Wanted:
        """Raises ValueError, OSError."""
        return Wanted.from_json(self.path.read_text())

    def is_wanted(self) -> bool:
        """Whether whoever asked is still there and has not taken it back."""
        try:
            descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return True
        finally:
            os.close(descriptor)
        return False

    def answer(self, said: Answer) -> None:
        """Say what became of it. Raises OSError."""
        partial = self.path.with_suffix(".partial")
        partial.write_text(json.dumps(said))
        partial.chmod(0o644)
        os.replace(partial, self.path.with_suffix(_ANSWER))
        self.path.unlink(missing_ok=True)


def pending(folder: Path) -> list[Pending]:
    """Requests whose senders are there, in the order of their names; the others are removed."""
    found = [Pending(path) for path in sorted(folder.glob(f"*{_REQUEST}"))]
    for each in found:
        if not each.is_wanted():
            each.path.unlink(missing_ok=True)
    return [each for each in found if each.path.exists()]


def clear(folder: Path) -> None:
    """At start: what was asked of a collector that is gone is not done later. Raises OSError."""
    make_folder(folder)
    for path in folder.iterdir():
        path.unlink(missing_ok=True)
