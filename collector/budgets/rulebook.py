"""Which rules hold: those of the config, and those made at run time, which the ledger keeps with who made them."""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Callable, Sequence
from threading import Lock
from typing import Any, NamedTuple

from collector.budgets.event_rows import insert_audit
from collector.budgets.ledger import Ledger, Snapshot
from collector.budgets.model import Rule
from collector.budgets.statements import statement
from collector.config.problems import ConfigError
from collector.config.written_rule import as_json, from_json
from collector.errors import StoreUnavailable

logger = logging.getLogger(__name__)


MAX_AUDIT_ROWS = 100_000
"""Among which those of one organisation are looked for."""


class CannotChange(Exception):
    """A change of rules that is not possible; `is_unknown`: there is no such rule."""

    def __init__(self, what: str, *, is_unknown: bool = False) -> None:
        super().__init__(what)
        self.is_unknown = is_unknown


class AuditRow(NamedTuple):
    """Who changed what, when. `before` and `after` are JSON values; None: there was, or is, none."""

    at_ns: int
    actor: str
    action: str
    subject: str
    before: Any
    after: Any


class RuleBook:
    """`start()` reads the ledger. `changed` is told all rules after each change, in the thread that made it.

    A change that fails on its way may be in the ledger all the same: `catch_up` has what is there hold.
    """

    def __init__(
        self,
        ledger: Ledger,
        configured: Sequence[Rule],
        changed: Callable[[Sequence[Rule]], None],
        clock_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._ledger = ledger
        self._configured = tuple(configured)
        self._changed = changed
        self._clock_ns = clock_ns
        self._made: dict[str, Rule] = {}
        self._changing = Lock()  # for as long as a change takes: the ledger and what is told of it keep one order
        self._is_behind = False  # a change has failed: what the ledger has may not be what was told

    @property
    def rules(self) -> tuple[Rule, ...]:
        """All rules that hold, those of the config first."""
        return (*self._configured, *self._made.values())

    @property
    def revision(self) -> str:
        """Changes when any rule does; the same after a restart."""
        return hashlib.sha256("\n".join(map(as_json, self.rules)).encode()).hexdigest()[:12]

    def is_configured(self, name: str) -> bool:
        """Whether the config has a rule of that name, so that it cannot be changed here."""
        return any(rule.name == name for rule in self._configured)

    def start(self) -> None:
        """Raises StoreUnavailable."""
        made: dict[str, Rule] = {}
        for name, definition in self._ledger.read(lambda snapshot: snapshot.rows(statement("made_rules"))):
            if self.is_configured(name):
                logger.warning("the budget %s that was made at run time gives way to that of the config", name)
                continue
            try:
                made[name] = from_json(definition)
            except ConfigError as error:
                logger.error("the budget %s that was made at run time is not understood: %s", name, error)
        self._made = made

    def put(self, rule: Rule, by: str, org: str | None = None) -> bool:
        """Make a rule, or change it; whether it is new. `org`: whose rules may be changed; None: all.

        Raises:
            CannotChange: the config has a rule of this name, or another organisation.
            StoreUnavailable: whether it is changed says the ledger, when it answers again (`catch_up`).
        """
        self._refuse_configured(rule.name)
        with self._changing:
            self._catch_up()
            return self._put(rule, by, org)

    def _put(self, rule: Rule, by: str, org: str | None) -> bool:
        before, now_ns, definition = self._made.get(rule.name), self._clock_ns(), as_json(rule)
        if before is not None and org not in (None, before.organization):
            raise CannotChange(f"the name {rule.name} is taken")

        def write(connection: Any) -> None:
            _write_row(connection, rule.name, definition, by, now_ns)
            action = "rule_created" if before is None else "rule_changed"
            insert_audit(
                connection, now_ns, by, action, rule.name, None if before is None else as_json(before), definition
            )

        self._change(write, {**self._made, rule.name: rule})
        return before is None

    def delete(self, name: str, by: str, org: str | None = None) -> None:
        """Remove a rule that was made at run time. `org`: whose rules may be removed; None: all.

        Raises:
            CannotChange: there is none of this name, or it is the config's.
            StoreUnavailable: as for `put`.
        """
        self._refuse_configured(name)
        with self._changing:
            self._catch_up()
            self._delete(name, by, org)

    def catch_up(self) -> None:
        """Read and tell the rules again if a change has failed. Cheap if none has. Raises StoreUnavailable."""
        if self._is_behind:
            with self._changing:
                self._catch_up()

    def _catch_up(self) -> None:
        if not self._is_behind:
            return
        self._is_behind = False  # what fails for another reason would fail each time
        try:
            self.start()
            self._changed(self.rules)
        except StoreUnavailable:
            self._is_behind = True
            raise

    def _change(self, write: Callable[[Any], None], made: dict[str, Rule]) -> None:
        self._is_behind = True
        self._ledger.write(write)
        self._made = made
        self._changed(self.rules)
        self._is_behind = False

    def _delete(self, name: str, by: str, org: str | None) -> None:
        before, now_ns = self._made.get(name), self._clock_ns()
        if before is None or org not in (None, before.organization):
            raise CannotChange(f"there is no rule {name}", is_unknown=True)

        def write(connection: Any) -> None:
            _write_row(connection, name, as_json(before), by, now_ns, is_deleted=True)
            insert_audit(connection, now_ns, by, "rule_deleted", name, as_json(before), None)

        self._change(write, {key: rule for key, rule in self._made.items() if key != name})

    def audit(self, limit: int, org: str | None = None) -> list[AuditRow]:
        """Who changed what, the newest first; all of it, or what is about one organisation. Raises StoreUnavailable."""

        def read(snapshot: Snapshot) -> list[AuditRow]:
            rows = snapshot.rows(statement("audit"), [limit if org is None else MAX_AUDIT_ROWS])
            found = [
                AuditRow(at_ns, actor, action, subject, _parsed(before), _parsed(after))
                for at_ns, actor, action, subject, before, after in rows
            ]
            return [row for row in found if org is None or _is_about(row, org)][:limit]

        return self._ledger.read(read)

    def _refuse_configured(self, name: str) -> None:
        if self.is_configured(name):
            raise CannotChange(f"{name} is a rule of the config; change it there")


def _write_row(connection: Any, name: str, definition: str, by: str, now_ns: int, *, is_deleted: bool = False) -> None:
    """Put a rule's row in the place of the one before, inside the transaction: an update would hold checkpoints up."""
    created_at_ns, created_by = connection.execute(statement("rule_made"), [name]).fetchone() or (now_ns, by)
    connection.execute(statement("forget_rule"), [name])
    row = [name, definition, created_at_ns, created_by, now_ns, by, now_ns if is_deleted else None]
    connection.execute(statement("insert_rule"), row)


def _is_about(row: AuditRow, org: str) -> bool:
    """Whether all that a row says of an organisation is of this one, and it says something."""
    said = {state.get("organization") for state in (row.before, row.after) if isinstance(state, dict)}
    return said == {org}


def _parsed(text: str | None) -> Any:
    return None if text is None else json.loads(text)
