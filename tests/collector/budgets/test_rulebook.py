"""Rules that are made at run time: changed by many at the same moment, and while the ledger is away."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from threading import Barrier, Thread
from typing import Any, TypeVar

import pytest

from collector.budgets.keeper import BudgetKeeper
from collector.budgets.model import Rule
from collector.budgets.rulebook import CannotChange, RuleBook
from collector.errors import StoreUnavailable
from collector.store import Store
from tests.collector.budgets.actions.telling import RULE, ledger
from tests.collector.budgets.conftest import Open

T = TypeVar("T")
MADE = [replace(RULE, name=f"made-{number}") for number in range(6)]


def named(rules: Sequence[Rule]) -> list[str]:
    return sorted(rule.name for rule in rules)


def in_ledger(store: Store) -> list[str]:
    book = RuleBook(store, (), lambda _: None)
    book.start()
    return named(book.rules)


def test_changes_at_the_same_moment_are_told_and_kept_as_the_ledger_has_them(open_ledger: Open) -> None:
    store, keeper = open_ledger()
    book = RuleBook(store, (), keeper.set_rules)
    book.start()
    book.put(MADE[0], "me")
    at_once = Barrier(len(MADE))

    def change(number: int) -> None:
        at_once.wait()
        if number:
            book.put(MADE[number], "me")
        else:
            book.delete(MADE[0].name, "me")

    threads = [Thread(target=change, args=(number,)) for number in range(len(MADE))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert named(book.rules) == named(keeper.counters.rules) == in_ledger(store) == named(MADE[1:])
    assert keeper.verify() == []


class Away:
    """A ledger that may be away, before a change or when it is made and nobody hears of it any more."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.is_away = False
        self.loses_answers = False

    def read(self, work: Callable[[Any], T]) -> T:
        if self.is_away:
            raise StoreUnavailable("away")
        return self._store.read(work)

    def write(self, work: Callable[[Any], T]) -> T:
        if self.is_away:
            raise StoreUnavailable("away")
        found = self._store.write(work)
        if self.loses_answers:
            self.is_away = True
            raise StoreUnavailable("away")
        return found


@pytest.mark.parametrize("is_made", [True, False])
def test_a_change_that_fails_holds_if_the_ledger_has_it(tmp_path: Path, is_made: bool) -> None:
    with ledger(tmp_path) as store:
        told: list[Sequence[Rule]] = []
        away = Away(store)
        book = RuleBook(away, (), told.append)
        book.start()
        away.loses_answers, away.is_away = is_made, not is_made
        with pytest.raises(StoreUnavailable):
            book.put(MADE[0], "me")
        with pytest.raises(StoreUnavailable):
            book.catch_up()
        assert told == []
        away.loses_answers = away.is_away = False
        book.catch_up()
        book.catch_up()
        assert [named(rules) for rules in told] == [named(MADE[:is_made])], "once"
        assert named(book.rules) == in_ledger(store) == named(MADE[:is_made])


def test_a_change_that_could_not_be_told_is_told_when_the_ledger_is_back(tmp_path: Path) -> None:
    """Who counts a new rule needs the ledger as well."""
    with ledger(tmp_path) as store:
        keeper, away = BudgetKeeper(store), Away(store)

        def count(rules: Sequence[Rule]) -> None:
            if away.is_away:
                raise StoreUnavailable("away")
            keeper.set_rules(rules)

        book = RuleBook(away, (), count)
        book.start()
        away.loses_answers = True
        with pytest.raises(StoreUnavailable):
            book.put(MADE[0], "me")
        away.loses_answers = away.is_away = False
        book.put(MADE[1], "me")
        assert named(keeper.counters.rules) == named(book.rules) == named(MADE[:2])


def test_a_name_is_the_configs_or_that_of_one_organisation(tmp_path: Path) -> None:
    with ledger(tmp_path) as store:
        book = RuleBook(store, [RULE], lambda _: None)
        book.start()
        with pytest.raises(CannotChange, match="is a rule of the config"):
            book.put(RULE, "me")
        book.put(replace(MADE[0], organization="a"), "me", "a")
        with pytest.raises(CannotChange, match="is taken"):
            book.put(replace(MADE[0], organization="b"), "you", "b")
        with pytest.raises(CannotChange, match="there is no rule") as raised:
            book.delete(MADE[0].name, "you", "b")
        assert raised.value.is_unknown
