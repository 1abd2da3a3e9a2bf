"""What a run of the app came to, by its own notes, and what leases promise about it (docs/adr/0012-leases.md)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from otel_cost.pricing.money import pico_usd

Note = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of one customer. Money in pico-USD."""

    made: int
    cost: int
    """Of all calls that were made."""
    blocked: int
    refusals: int
    """Answers of the collector; a call that waits and asks again has several."""
    wrongly_refused: Sequence[Note]
    """Refusals by the collector of claims that there was room for, by the refusals' own figures."""
    underestimated_in_flight: int
    """Sum of `real - claimed` of calls whose cost the collector did not know at the last grant: more may not be
    overspent."""
    unasked: int
    """Calls that were let through since nobody answered: by rules that are open then, or that were not heard of yet."""
    unasked_cost: int


def outcome_of(notes: Sequence[Note], customer: str) -> Outcome:
    """Read the notes of a run that is over."""
    mine = [note for note in notes if note.get("customer") == customer]
    ended = {note["call"] for note in mine if note["kind"] == "ended"}
    begun = [note for note in mine if note["kind"] == "begun" and note["call"] in ended]
    settled_at = {call: note["at"] for note in notes if note["kind"] == "settled" for call in note["calls"]}
    last_grant = max((note["asked_at"] for note in mine if note["kind"] == "granted"), default=0.0)
    in_flight = [note for note in begun if settled_at.get(note["lease"], last_grant) >= last_grant]
    refused = [note for note in mine if note["kind"] == "refused"]
    return Outcome(
        len(begun),
        sum(note["real"] for note in begun),
        sum(note["kind"] == "blocked" for note in mine),
        len(refused),
        [note for note in refused if _had_room(note)],
        sum(max(0, note["real"] - note["claimed"]) for note in in_flight),
        sum(note["lease"] is None for note in begun),
        sum(note["real"] for note in begun if note["lease"] is None),
    )


def failures(notes: Sequence[Note]) -> list[Note]:
    """What should not have happened in the app."""
    return [note for note in notes if note["kind"] == "failed"]


def unanswered(notes: Sequence[Note]) -> list[Note]:
    """Requests that the collector gave no answer to, in the time that the guard waits for one."""
    return [note for note in notes if note["kind"] == "unanswered"]


def _had_room(note: Note) -> bool:
    refusal = note["refusal"]
    taken = pico_usd(refusal["spent"]) + pico_usd(refusal["leased"]) + int(note["claimed"])
    return taken <= pico_usd(refusal["limit"])
