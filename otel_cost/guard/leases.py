"""The leases of this process: a call is decided from one that is held, in microseconds, or the collector is asked.

What calls cost is told in the background, by one thread that runs while there is something to tell. A forked child
starts with nothing; at exit everything is told and given back.
"""

from __future__ import annotations

import atexit
import os
import secrets
import socket
import sys
import threading
from collections.abc import Mapping, Sequence
from time import monotonic
from typing import Any

from otel_cost.call import ATTRIBUTE
from otel_cost.guard.admissions import Admission
from otel_cost.guard.client import Client, Rejected, Unreachable
from otel_cost.guard.held import Claim, Held, question
from otel_cost.guard.jobs import ReadJobs, hand_over
from otel_cost.guard.refusals import MAX_POLICIES, Closed, ClosedError, Incomplete, Refused
from otel_cost.instrument.guard import STATS, guarded

TELL_SECONDS = 0.5
"""How often is told what calls cost. Less often, and other processes hear late that a budget is used up."""
MAX_TO_TELL = 10_000
"""Settled calls that wait for a collector that is down. More are dropped and counted; what they hold ends by time."""
CALLS_AT_ONCE = 500
"""Most calls told in one request."""
EXIT_SECONDS = 2.0
"""How long a process that ends goes on telling. Longer, and an app hangs at its end; shorter, and what it reserved is
held until it ends by time."""

_Key = tuple[object, ...]


class Leases:
    """All leases of one process from one collector. Safe to use from many threads."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._start()

    def _start(self) -> None:
        self.holder = f"{socket.gethostname()}/{os.getpid()}/{secrets.token_hex(4)}"[:200]
        self._lock = threading.RLock()
        self._telling = threading.Lock()  # held while the background tells, so that an end waits for what is on its way
        self._match_on: tuple[str, ...] | None = None
        self.attributes: tuple[str, ...] = ()
        """Those that budgets count by, as far as was last heard: `otel_cost.call.ATTRIBUTE` and the key."""
        self._revision: object = None
        self._usable: dict[_Key, Held] = {}
        self._all: dict[str, Held] = {}
        self._read_jobs = ReadJobs()
        self._asking: dict[_Key | None, threading.Lock] = {}
        self._closed = Closed()
        self._wake = threading.Event()
        self._is_running = False
        self._has_exit_hook = False

    def forget(self) -> None:
        """In a forked child: leases are the parent's."""
        self._client.forget()
        self._start()

    def is_free(self, values: Mapping[str, str | None]) -> bool:
        """Whether no hard budget counts such calls, as far as was last heard."""
        match_on = self._match_on
        if match_on is None:
            return False
        held = self._usable.get((True, *map(values.get, match_on)))
        if held is None or held.slices or monotonic() >= held.until:
            return False
        held.is_used = True
        return True

    def take(self, claim: Claim) -> Admission | None:
        """A call under a lease that is held; None: the collector has to be asked."""
        match_on = self._match_on
        if match_on is None:
            return None
        key = (claim.cost_pico_usd is not None, *map(claim.values.get, match_on))
        with self._lock:
            held = self._usable.get(key)
            if held is None or monotonic() >= held.until:
                return None
            return self._take(held, claim)

    def _take(self, held: Held, claim: Claim) -> Admission | None:
        if not held.slices:
            held.is_used = True
            return Admission()
        number = held.take(claim.cost_pico_usd, claim.tokens)
        if number is None:
            return None
        if held.is_single:
            held.is_retired = True
            self._usable.pop(held.key, None)
        elif not held.is_renewing and held.is_low and number:
            held.is_renewing = True
            held.claim = claim
            self._wake.set()
        self._run_in_background()
        return Admission(self, held, number)

    def ask(self, claim: Claim) -> Admission:
        """Ask the collector, and wait for its answer; of several threads with the same question one asks.

        Raises:
            Refused: it says no, or not so.
            Incomplete: the question was not whole.
            ClosedError: it gives no answer, and nothing is let through then.
            Unreachable: it gives no answer; calls may be made.
            Rejected: it does not understand us; calls may be made.
        """
        with self._lock:
            key = self._key(claim)
            if len(self._asking) > MAX_POLICIES:
                self._asking.clear()
            asking = self._asking.setdefault(key, threading.Lock())
        with asking:
            return self.take(claim) or self._ask(claim)

    def ask_whole(self, claim: Claim) -> Admission:
        """Ask for a lease that is for this claim and nothing else. Raises as `ask`."""
        return self._ask(claim, is_whole=True)

    def _key(self, claim: Claim) -> _Key | None:
        match_on = self._match_on
        return None if match_on is None else (claim.cost_pico_usd is not None, *map(claim.values.get, match_on))

    def _ask(self, claim: Claim, is_whole: bool = False) -> Admission:
        with self._lock:  # in one step: a call that ends is told, or in flight
            key = self._key(claim)
            given_back = () if self._client.is_paused else self._give_back(key)
            told = self._to_tell()
            body = claim.body() | question(self.holder, told, given_back, is_whole=is_whole)
        asked_at = monotonic()
        try:
            answer = self._client.post("lease", body)
        except (Unreachable, Rejected):
            self._end_telling(told, has_heard=False)
            self._fail_closed(key, claim)
            raise
        self._end_telling(told, has_heard=True)
        with self._lock:
            for each in given_back:
                if each.is_done:
                    self._all.pop(each.lease_id, None)
            held = self._heard(answer, claim, asked_at, is_whole=is_whole)
            if any(name not in claim.values for name in self.attributes):
                self._drop(held)
                raise Incomplete
            if held is None:
                raise Refused(answer)
            admission = self._take_whole(held) if is_whole else self._take(held, claim)
        if admission is None:
            raise Rejected("a lease that is too small for what was asked")
        return admission

    def _drop(self, held: Held | None) -> None:
        """A lease is not for the call that it was asked for: it is released."""
        if held is not None and held.slices:
            held.is_retired = True
            if self._usable.get(held.key) is held:
                del self._usable[held.key]
            self._soon()

    def _take_whole(self, held: Held) -> Admission:
        if not held.slices:
            return Admission()
        number = held.take_whole()
        self._run_in_background()
        return Admission(self, held, number)

    def _give_back(self, key: _Key | None) -> Sequence[Held]:
        """The lease that the next one takes the place of, if any (nothing more is taken from it, also if no answer
        comes), and those that are done with, as after single calls: they would be in the way of this one."""
        held = None if key is None else self._usable.pop(key, None)
        if held is not None and held.slices:
            held.is_retired = True
        gone = (each for each in self._all.values() if each is held or not (each.job or each.in_flight))
        return [each for each in gone if each.is_retired][:CALLS_AT_ONCE]

    def _to_tell(self) -> list[tuple[Held, list[dict[str, Any]]]]:
        """Calls that are over, by lease: what they did not need is free for the next one."""
        room, found = CALLS_AT_ONCE, []
        for held in self._all.values():
            if held.to_tell and room > 0:
                found.append((held, held.begin_telling(room)))
                room -= len(found[-1][1])
        return found

    def _end_telling(self, told: list[tuple[Held, list[dict[str, Any]]]], *, has_heard: bool) -> None:
        with self._lock:
            for held, calls in told:
                held.end_telling(calls, has_heard=has_heard)

    def _fail_closed(self, key: _Key | None, claim: Claim) -> None:
        """Raises ClosedError if a rule that the call counts in is closed, as far as was heard."""
        rules = self._closed.of(key, claim)
        if rules:
            raise ClosedError(rules)

    def _heard(
        self, answer: Mapping[str, Any], claim: Claim, asked_at: float, *, is_whole: bool = False
    ) -> Held | None:
        """Note what an answer says; its lease, if it has one. Called with the lock held."""
        revision, match_on = answer.get("rules_revision"), tuple(map(str, answer.get("match_on", ())))
        if revision != self._revision or match_on != self._match_on:
            for held in self._usable.values():
                held.is_retired = True
            self._usable = {}
            self._closed.clear()
            self._revision, self._match_on = revision, match_on
            self.attributes = tuple(name for name in match_on if name.startswith(ATTRIBUTE))
        key: _Key = (claim.cost_pico_usd is not None, *map(claim.values.get, match_on))
        lease = answer.get("lease")
        self._closed.heard(key, answer)
        if answer.get("decision") != "allow" or not lease:
            return None
        held = Held(lease, claim, key, asked_at)
        if held.slices:
            self._all[held.lease_id] = held
        if is_whole:
            return held
        replaced = self._usable.get(key)
        if replaced is not None:
            replaced.is_retired = True
        self._usable[key] = held
        if not held.slices:
            self._usable[(not key[0], *key[1:])] = held  # whether there is a price does not matter then
        return held

    def settle(self, held: Held, number: int, cost_pico_usd: int | None, tokens: int, calls: int) -> None:
        """A call of a lease is done."""
        with self._lock:
            if held.job is not None:
                return
            if len(held.to_tell) >= MAX_TO_TELL:
                STATS.count("guard.settlements_dropped")
                held.in_flight.pop(number, None)
                return
            held.settle(number, cost_pico_usd, tokens, calls)
            self._run_in_background()

    def hold(self, held: Held, job: str) -> None:
        """Leave a lease to a job."""
        with self._lock:
            if held.in_flight:
                held.job = job
                self._soon()

    def job_is_read(self, job: str) -> None:
        """Its results were read, by whichever process it was begun: what is held for it is not needed any more."""
        with self._lock:
            self._read_jobs.add(job)
            self._soon()

    def _soon(self) -> None:
        """There is something to tell at once. Called with the lock held."""
        self._wake.set()
        self._run_in_background()

    def _run_in_background(self) -> None:
        """Called with the lock held."""
        if self._is_running:
            return
        if not self._has_exit_hook:
            # Registered later than the SDK's own, so it runs before the exporters are shut down.
            self._has_exit_hook = True
            atexit.register(self.close)
        self._is_running = True
        threading.Thread(target=self._run, name="otel-cost-guard", daemon=True).start()

    def _run(self) -> None:
        lock = self._lock
        try:
            while lock is self._lock:
                self._wake.wait(TELL_SECONDS)
                self._wake.clear()
                self.tell()
                with lock:
                    if not self._all and not self._read_jobs:
                        self._is_running = False
                        return
        except Exception as error:
            STATS.failed("guard.run", error)
            self._is_running = False

    def tell(self) -> None:
        """Say what there is to say of each lease; renew those that run low, and release those that are done with."""
        with self._telling:
            with self._lock:
                leases = list(self._all.values())
            for held in leases:
                if held.job is None:
                    self._renew(held)
                self._tell(held)
            self._read_jobs.tell(self._client)

    def _hand_over(self, held: Held) -> None:
        if hand_over(self._client, held):
            with self._lock:
                self._all.pop(held.lease_id, None)

    @guarded
    def _renew(self, held: Held) -> None:
        if not held.is_renewing or held.is_retired or not held.is_low or self._client.is_paused:
            return
        claim = held.claim._replace(has_waited=False)
        asked_at = monotonic()
        try:
            answer = self._client.post("lease", {**claim.body(), "holder": self.holder})
        except (Unreachable, Rejected):
            return
        with self._lock:
            self._heard(answer, claim, asked_at)

    @guarded
    def _tell(self, held: Held, is_last: bool = False) -> None:
        """Tell what is to be told of a lease, if it is time."""
        if held.job is not None:
            self._hand_over(held)
            return
        now = monotonic()
        with self._lock:
            if held.is_idle(now):
                held.is_retired = self._usable.get(held.key) is not held or self._usable.pop(held.key) is held
            told = held.begin_telling(CALLS_AT_ONCE)
            rest = held.in_flight or held.to_tell or len(held.telling) > len(told)
            releases = is_last or (held.is_retired and not rest)
            if not (told or releases or held.has_to_be_kept(now)):
                return
        try:
            if told or not releases:
                self._told(held, self._client.post("settle", {"lease": held.lease_id, "calls": told}), now)
                with self._lock:
                    held.end_telling(told, has_heard=True)
                told = []
            if releases:
                with self._lock:
                    body = held.release_body()
                self._client.post("release", body)
        except Unreachable:
            with self._lock:
                held.end_telling(told, has_heard=False)
            return
        except Rejected as error:
            STATS.failed("guard.settle", error)
            with self._lock:
                held.end_telling(told, has_heard=True)
        if releases:
            with self._lock:
                self._all.pop(held.lease_id, None)

    def _told(self, held: Held, answer: Mapping[str, Any], asked_at: float) -> None:
        with self._lock:
            expires_in_seconds = float(answer.get("expires_in_seconds") or 0)
            if not answer.get("known", True):
                self._all.pop(held.lease_id, None)
                expires_in_seconds = 0.0
            held.extend(asked_at, expires_in_seconds)
            revision = answer.get("rules_revision", self._revision)
            if expires_in_seconds <= 0 and self._usable.get(held.key) is held:
                del self._usable[held.key]
                held.is_retired = True
            if revision != self._revision:
                for each in self._usable.values():
                    each.is_retired = True
                self._usable, self._revision = {}, None  # the next answer brings what is new

    @guarded
    def close(self) -> None:
        """Tell everything and give everything back, as far as it goes within `EXIT_SECONDS`; what the background is
        telling is waited for, as a process that ends would take it along."""
        retries = sys.modules.get("otel_cost.instrument.retries")
        if retries is not None:
            retries.RETRIES.flush()
        ends_at = monotonic() + EXIT_SECONDS
        is_alone = self._telling.acquire(timeout=EXIT_SECONDS / 2)  # the rest is for what is not told yet
        try:
            self._tell_all(ends_at)
        finally:
            if is_alone:
                self._telling.release()

    def _tell_all(self, ends_at: float) -> None:
        with self._lock:
            self._usable = {}
            leases = list(self._all.values())
        for held in leases:
            while held.lease_id in self._all and monotonic() < ends_at and not self._client.is_paused:
                more = len(held.to_tell) > CALLS_AT_ONCE
                self._tell(held, is_last=not more)
        if monotonic() < ends_at:
            self._read_jobs.tell(self._client)
