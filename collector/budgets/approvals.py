"""The approval queue: requests to raise a limit, and the raises that are in force.

Whoever decides on calls makes a `request`, in memory and at once; the ticket is written a moment later. Its name
follows from what is asked for, so one that a crash forgot gets the same name when it is asked for again. Deciding is
written before it holds.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from threading import Lock, RLock
from typing import Any

from collector.budgets.actions.messages import amount as amount_of
from collector.budgets.actions.messages import ticket_body
from collector.budgets.counters import Raise, raise_key
from collector.budgets.event_rows import insert_audit, insert_events
from collector.budgets.ledger import Ledger
from collector.budgets.model import DEFAULT_MAX_RAISE, PPM, CounterKey, Event, EventKind, Rule
from collector.budgets.statements import statement
from collector.budgets.tickets import Ticket, TicketState, insert_tickets, ticket_id, tickets_of, update_tickets
from collector.budgets.windows import window_at

DAY_NS = 86_400 * 10**9
OPEN_NS = 7 * DAY_NS
"""How long a ticket waits for a decision where no window ends before. Longer: a queue full of what nobody needs."""
RAISE_NS = DAY_NS
"""How long a raise lasts where nobody says, and no window ends before."""
MAX_RAISED = 8 * 10**18
"""Of a limit and its raises together: what fits into a column."""
NEVER_NS = 2**63 - 1
COLLECTOR = "collector"
"""Who ends tickets that nobody decided on."""


class CannotDecide(Exception):
    """A decision that is not possible. `where`: the part of the request; `is_unknown`: there is no such ticket."""

    def __init__(self, what: str, *, where: str = "", allowed: str = "", is_unknown: bool = False) -> None:
        super().__init__(what)
        self.where = where
        self.allowed = allowed
        self.is_unknown = is_unknown


class Approvals:
    """`start()` reads what the ledger has. Everything may be called from any thread.

    `request`, `get`, `raises` and `raised` never wait for the ledger. `on_new` is called when there is something to do
    for whoever sends messages.
    """

    def __init__(
        self,
        ledger: Ledger,
        rules: Callable[[], Sequence[Rule]],
        on_new: Callable[[], None] = lambda: None,
        clock_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self.on_new = on_new
        self._ledger = ledger
        self._rules = rules
        self._clock_ns = clock_ns
        self._lock = RLock()  # of what is in memory, for moments
        self._deciding = Lock()  # of what is in the ledger, for as long as a commit takes
        self._tickets: dict[str, Ticket] = {}
        self._latest: dict[tuple[CounterKey, int], tuple[int, str]] = {}  # how many were asked for, and the last one
        self._open: set[str] = set()
        self._unwritten: dict[str, Ticket] = {}
        self._raised: dict[str, Ticket] = {}
        self._raises: tuple[Mapping[CounterKey, Raise], int] = ({}, NEVER_NS)  # and until when they are these
        self._in_doubt = False  # a write has failed: it may be in the ledger all the same

    def start(self) -> None:
        """Raises StoreUnavailable."""
        with self._deciding:
            self._load()

    def request(self, rule: Rule, key: CounterKey, limit: int, spent: int, by: str, now_ns: int) -> str:
        """The ticket of a request for more than `limit`; a new one only if there is none that waits or still holds.

        `limit` is the one in force, raised or not; `by` is who asks.
        """
        key = raise_key(rule, key)
        with self._lock:
            standing = self._standing(rule, key, limit, now_ns)
            if standing is not None:
                return standing
            number, _ = self._latest.get((key, limit), (0, ""))
            asked = Ticket(
                ticket_id(key, limit, number), key, rule.unit, limit, spent, now_ns, by, _ends_at_ns(rule, key, now_ns)
            )
            self._keep(asked)
            self._unwritten[asked.ticket] = asked
        self.on_new()
        return asked.ticket

    def asked(
        self, rule: Rule, key: CounterKey, limit: int, spent: int, by: str | None, now_ns: int
    ) -> tuple[str | None, bool]:
        """`request`, and whether the answer was no, which stands until it may be asked for again. Nobody asks (None):
        the ticket that stands, if there is one."""
        if by is None:
            ticket = self._standing(rule, raise_key(rule, key), limit, now_ns)
        else:
            ticket = self.request(rule, key, limit, spent, by, now_ns)
        known = None if ticket is None else self.get(ticket)
        return ticket, known is not None and known.state is TicketState.DENIED

    def _standing(self, rule: Rule, key: CounterKey, limit: int, now_ns: int) -> str | None:
        with self._lock:
            _, latest = self._latest.get((key, limit), (0, ""))
            return latest if latest and not _is_over(self._tickets[latest], rule, now_ns) else None

    def get(self, ticket: str) -> Ticket | None:
        """The ticket of that name."""
        with self._lock:  # while the ledger's are read again, some are missing
            return self._tickets.get(ticket)

    def listed(self, states: Sequence[TicketState]) -> list[Ticket]:
        """The tickets in some states, the newest first."""
        with self._lock:
            found = [ticket for ticket in self._tickets.values() if ticket.state in states]
        return sorted(found, key=lambda ticket: (-ticket.asked_at_ns, ticket.ticket))

    def raises(self) -> Mapping[CounterKey, Raise]:
        """What raises limits now, by counter. Cheap: made anew only when one begins or ends."""
        found, until_ns = self._raises
        now_ns = self._clock_ns()
        if now_ns < until_ns:
            return found
        with self._lock:
            return self._count_raises(now_ns)

    def rule_of(self, ticket: Ticket) -> Rule | None:
        """The rule whose limit is to be raised; None: it is gone."""
        return self._rule(ticket.key.rule)

    def room(self, ticket: Ticket) -> int | None:
        """By how much the limit may be raised now; None: the rule is gone."""
        rule = self.rule_of(ticket)
        return None if rule is None else max(0, most_to_raise(rule) - self.raised(ticket.key, self._clock_ns()))

    def raised(self, key: CounterKey, now_ns: int) -> int:
        """By how much the limit of a counter is raised at a time. `key` as `raise_key` makes it."""
        with self._lock:
            return sum(
                ticket.raise_amount or 0
                for ticket in self._raised.values()
                if ticket.key == key and ticket.is_in_force(now_ns)
            )

    def approve(self, ticket: str, amount: int, for_ns: int | None, by: str, note: str = "") -> Ticket:
        """Raise the limit by `amount`, for `for_ns` or until the ticket's window ends.

        Raises CannotDecide, StoreUnavailable; nothing has changed then.
        """
        with self._deciding:
            asked, now_ns = self._decidable(ticket), self._clock_ns()
            rule = self.rule_of(asked)
            if rule is None:
                raise CannotDecide(f"the rule {asked.key.rule} is gone")
            bound = most_to_raise(rule) - self.raised(asked.key, now_ns)
            if not 0 < amount <= bound:
                allowed = f"above 0, at most {amount_of(bound, rule.unit)}" if bound > 0 else "nothing more"
                raise CannotDecide("is not within the bound of the rule", where="raise", allowed=allowed)
            window_ends_ns = window_at(rule.window, asked.key.window_start_ns).end_ns if _has_end(rule) else None
            if for_ns is None:
                ends_ns = window_ends_ns or now_ns + RAISE_NS
            else:
                ends_ns = min(now_ns + for_ns, window_ends_ns or NEVER_NS)
            decided = replace(
                asked,
                state=TicketState.APPROVED,
                decided_at_ns=now_ns,
                decided_by=by,
                note=note or None,
                raise_amount=amount,
                raise_ends_at_ns=ends_ns,
            )
            event = _event(decided, EventKind.APPROVED, now_ns, asked.limit + amount)
            return self._decide(asked, decided, event, by)

    def deny(self, ticket: str, by: str, note: str = "") -> Ticket:
        """Refuse; nobody may ask again for as long as the rule says. Raises CannotDecide, StoreUnavailable."""
        with self._deciding:
            asked, now_ns = self._decidable(ticket), self._clock_ns()
            decided = replace(asked, state=TicketState.DENIED, decided_at_ns=now_ns, decided_by=by, note=note or None)
            return self._decide(asked, decided, _event(decided, EventKind.DENIED, now_ns, asked.limit), by)

    def settle(self) -> bool:
        """Write what was asked for, end what nobody decided on; whether there are new events.

        Raises StoreUnavailable.
        """
        with self._deciding:
            return self._settle()

    def _rule(self, name: str) -> Rule | None:
        return next((rule for rule in self._rules() if rule.name == name), None)

    def _settle(self) -> bool:
        if self._in_doubt:
            self._load()
        now_ns = self._clock_ns()
        with self._lock:
            asked = list(self._unwritten.values())
            over = [self._tickets[name] for name in self._open if self._tickets[name].ends_at_ns <= now_ns]
        if not asked and not over:
            return False
        expired = [
            replace(ticket, state=TicketState.EXPIRED, decided_at_ns=now_ns, decided_by=COLLECTOR) for ticket in over
        ]

        def write(connection: Any) -> None:
            insert_tickets(connection, asked)
            insert_events(
                connection,
                [_event(each, EventKind.APPROVAL_REQUESTED, each.asked_at_ns, each.limit) for each in asked],
            )
            for each in asked:
                _audit(connection, each.asked_at_ns, each.asked_by, "approval requested", None, each)
            update_tickets(connection, expired)
            for was, now in zip(over, expired, strict=True):
                _audit(connection, now_ns, COLLECTOR, "approval expired", was, now)

        self._write(write)
        with self._lock:
            for each in asked:
                self._unwritten.pop(each.ticket, None)
            for each in expired:
                self._keep(each)
        return bool(asked)

    def _decidable(self, ticket: str) -> Ticket:
        self._settle()
        found = self._tickets.get(ticket)
        if found is None:
            raise CannotDecide(f"there is no ticket {ticket[:40]}", is_unknown=True)
        if found.state is not TicketState.OPEN:
            raise CannotDecide(f"it is {found.state} already, by {found.decided_by}")
        return found

    def _decide(self, was: Ticket, now: Ticket, event: Event, by: str) -> Ticket:
        def write(connection: Any) -> None:
            update_tickets(connection, [now])
            insert_events(connection, [event])
            _audit(connection, event.happened_at_ns, by, f"approval {now.state}", was, now)

        self._write(write)
        with self._lock:
            self._keep(now)
            self._count_raises(self._clock_ns())
        self.on_new()
        return now

    def _write(self, work: Callable[[Any], None]) -> None:
        try:
            self._ledger.write(work)
        except BaseException:
            self._in_doubt = True
            raise

    def _load(self) -> None:
        """Take what the ledger has; what was asked for and is not there yet stays."""
        rows = self._ledger.read(lambda snapshot: snapshot.rows(statement("approvals")))
        known = tickets_of(rows)
        with self._lock:
            for each in known:
                self._unwritten.pop(each.ticket, None)
            waiting: Iterable[Ticket] = list(self._unwritten.values())
            for held in (self._tickets, self._latest, self._open, self._raised):
                held.clear()
            for each in (*known, *waiting):
                self._keep(each)
            self._count_raises(self._clock_ns())
            self._in_doubt = False

    def _keep(self, ticket: Ticket) -> None:
        if ticket.ticket not in self._tickets:
            number, _ = self._latest.get((ticket.key, ticket.limit), (0, ""))
            self._latest[ticket.key, ticket.limit] = (number + 1, ticket.ticket)
        self._tickets[ticket.ticket] = ticket
        (self._open.add if ticket.state is TicketState.OPEN else self._open.discard)(ticket.ticket)
        if ticket.raise_ends_at_ns is not None:
            self._raised[ticket.ticket] = ticket

    def _count_raises(self, now_ns: int) -> Mapping[CounterKey, Raise]:
        self._raised = {name: ticket for name, ticket in self._raised.items() if ticket.is_in_force(now_ns)}
        found: dict[CounterKey, Raise] = {}
        for ticket in self._raised.values():
            before = found.get(ticket.key, Raise(0, NEVER_NS))
            ends_ns = min(before.expires_at_ns, ticket.raise_ends_at_ns or NEVER_NS)
            found[ticket.key] = Raise(before.amount + (ticket.raise_amount or 0), ends_ns)
        self._raises = (found, min((each.expires_at_ns for each in found.values()), default=NEVER_NS))
        return found


def most_to_raise(rule: Rule) -> int:
    """By how much approvals may raise the limit of one counter, all together."""
    bound = DEFAULT_MAX_RAISE * rule.limit if rule.max_raise is None else rule.max_raise
    return min(bound, MAX_RAISED - rule.limit)


def _has_end(rule: Rule) -> bool:
    return not rule.window.rolling_ns and window_at(rule.window, 0).end_ns is not None


def _ends_at_ns(rule: Rule, key: CounterKey, now_ns: int) -> int:
    end_ns = window_at(rule.window, key.window_start_ns).end_ns if _has_end(rule) else None
    return now_ns + OPEN_NS if end_ns is None or end_ns <= now_ns else end_ns


def _is_over(ticket: Ticket, rule: Rule, now_ns: int) -> bool:
    """Whether the same may be asked for again."""
    if ticket.state is TicketState.DENIED and rule.ask_again_ns is not None:
        return now_ns >= min(ticket.ends_at_ns, (ticket.decided_at_ns or 0) + rule.ask_again_ns)
    if ticket.state is TicketState.APPROVED:
        return not ticket.is_in_force(now_ns)
    return ticket.state is TicketState.EXPIRED or ticket.ends_at_ns <= now_ns


def _event(ticket: Ticket, kind: EventKind, at_ns: int, limit: int) -> Event:
    return Event(ticket.key, kind, PPM, at_ns, ticket.spent, limit, ticket.unit, ticket.ticket)


def _audit(connection: Any, at_ns: int, by: str, action: str, was: Ticket | None, now: Ticket) -> None:
    before = None if was is None else json.dumps(ticket_body(was))
    insert_audit(connection, at_ns, by, action, now.ticket, before, json.dumps(ticket_body(now)))
