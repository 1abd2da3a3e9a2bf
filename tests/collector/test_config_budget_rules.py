"""Rules of budgets in the config: what is wrong with one is said when the file is read."""

from __future__ import annotations

import pytest

from collector.budgets.model import SCOPES
from collector.config.budget import scope
from tests.collector.test_config import problems


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("{scope: run, limit: 1 USD/run}", "name: is required"),
        ("{name: a, limit: 1 USD/run}", "scope: is required"),
        ("{name: a, scope: run}", "limit: is required"),
        ("{name: a b, scope: run, limit: 1 USD/run}", "name: must be letters, digits, dots, dashes and underscores "
         "(got a b)"),
        ("{name: a, scope: [], limit: 1 USD/run}", f"scope: must name at least one dimension (got []); "
         f"allowed: {', '.join(SCOPES)}"),
        ("{name: a, scope: custmer, limit: 1 USD/run}", "scope: unknown scope (got custmer); "
         f"allowed: {', '.join(SCOPES)}, ingest_token, attribute.KEY; did you mean \"customer\"?"),
        ("{name: a, scope: attribute., limit: 1 USD/run}", "scope: unknown scope (got attribute.); "
         f"allowed: {', '.join(SCOPES)}, ingest_token, attribute.KEY; did you mean \"attribute.KEY\"?"),
        ("{name: a, scope: {attribute: {region: 5}}, limit: 1 USD/run}", "scope: the attribute.region must be text; "
         "put it in quotes (got 5)"),
        ("{name: a, scope: {agent: 5}, limit: 1 USD/run}", "scope: the agent must be text; put it in quotes (got 5)"),
        ("{name: a, scope: run, limit: 500}", "limit: must be text; put it in quotes (got 500)"),
        ("{name: a, scope: run, limit: 500 USD}", 'limit: must be an amount, a unit and a window (got 500 USD); '
         'allowed: for example "500 USD/month"'),
        ("{name: a, scope: run, limit: 1.2.3 USD/run}", 'limit: must be an amount, a unit and a window '
         '(got 1.2.3 USD/run); allowed: for example "500 USD/month"'),
        ("{name: a, scope: run, limit: 5 EUR/day}", "limit: unknown unit (got EUR); allowed: USD, tokens, calls"),
        ("{name: a, scope: run, limit: 5 USD/dya}", "limit: unknown window (got dya); allowed: run, hour, day, week, "
         'month, total, rolling such as 7d; did you mean "day"?'),
        ("{name: a, scope: run, limit: 0.0000000000001 USD/day}", "limit: is finer than one pico-dollar "
         "(got 0.0000000000001 USD/day)"),
        ("{name: a, scope: run, limit: 1.5 calls/day}", "limit: must be a whole number of calls (got 1.5 calls/day)"),
        ("{name: a, scope: run, limit: 1 USD/run, warn_at: 0.8}", "warn_at: must be a percentage such as 80% "
         "(got 0.8)"),
        ("{name: a, scope: run, limit: 1 USD/run, warn_at: 120%}", "warn_at: must be above 0% and at most 100% "
         "(got 120%)"),
        ("{name: a, scope: run, limit: 1 USD/run, on_exceed: [notify, blok]}", "on_exceed: unknown action (got blok); "
         "allowed: notify, webhook, email, slack, approval, cheaper_model, throttle, block; did you mean \"block\"?"),
        ("{name: a, scope: run, limit: 1 USD/run, on_exeed: [block]}", "on_exeed: unknown key; allowed: limit, "
         "on_warn, on_exceed, name, scope, time_zone, billing_day, week_start, warn_at, unpriced, start, "
         'when_unreachable, cheaper, throttle, organization, ask_again, max_raise; did you mean "on_exceed"?'),
        ("{name: a, scope: run, limit: 2000000 USD/day}", "limit: is above what can be counted (got 2000000 USD/day); "
         "allowed: 1000000 USD"),
        ("{name: a, scope: run, limit: 1 USD/500d}", "limit: a rolling window has at most 400 days (got 500d)"),
        ("{name: a, scope: [run, run], limit: 1 USD/run}", "scope: names the run twice (got run)"),
        ("{name: a, scope: {run: r1}, limit: 1 USD/run}", "scope: a window of a run needs no certain run; leave its "
         "name out"),
        ("{name: a, scope: run, limit: 1 USD/day, time_zone: Europe/Berln}", "time_zone: unknown time zone (got "
         'Europe/Berln); allowed: IANA names such as Europe/Berlin; did you mean "Europe/Berlin"?'),
        ("{name: a, scope: run, limit: 1 USD/day, start: yesterday}", "start: must be history, or a date (got "
         "yesterday); allowed: history, 2026-12-01, 2026-12-01T08:00+01:00"),
        ("{name: a, scope: run, limit: 1 USD/day, start: now}", "start: is another time at each start of a collector; "
         "only rules that are made at run time may say it (got now)"),
        ("{name: a, scope: run, limit: 1 USD/day, on_exceed: cheaper_model}", "cheaper: is required by cheaper_model, "
         "such as {gpt-4o: gpt-4o-mini}"),
        ("{name: a, scope: run, limit: 1 USD/day, cheaper: {gpt-4o: gpt-4o}}", "cheaper: a model cannot replace itself "
         "(got gpt-4o)"),
        ("{name: a, scope: run, limit: 1 USD/day, cheaper: {a: b, b: c, c: b}}", "cheaper: models replace one another "
         "in a circle (got b -> c -> b)"),
        ("{name: a, scope: run, limit: 1 USD/day, unpriced: guess}", "unpriced: unknown word (got guess); allowed: "
         "allow, worst_case, refuse"),
    ],
)  # fmt: skip
def test_budget_rules_are_checked_when_the_file_is_read(rule: str, expected: str) -> None:
    """A rule with a mistake is refused when the file is read, not when it would first have fired."""
    assert problems(f"processors: {{budget: {{rules: [{rule}]}}}}") == [f"processors.budget.rules[0].{expected}"]


def test_two_rules_of_one_name_are_a_mistake() -> None:
    """A rule's name says which rule fired."""
    rule = "{name: a, scope: run, limit: 1 USD/run}"
    found = problems(f"processors: {{budget: {{rules: [{rule}, {rule}]}}}}")
    assert found == ["processors.budget.rules[1].name: another rule has this name (got a)"]


def test_an_ingest_token_is_the_attribute_that_the_collector_sets() -> None:
    found = [scope(written) for written in ("ingest_token", {"ingest_token": "ci"}, ["customer", "ingest_token"])]
    name = "attribute.otel_cost.ingest_token"
    assert found == [((name, None),), ((name, "ci"),), (("customer", None), (name, None))]
