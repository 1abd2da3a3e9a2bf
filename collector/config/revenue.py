"""`extensions.api.revenue`: what customers pay, to show beside what they cost."""

from __future__ import annotations

import re
from decimal import Decimal
from types import MappingProxyType

from collector.config.access import organization
from collector.config.problems import BadValue
from collector.config.reader import Section
from collector.receive.senders import DEFAULT_ORGANIZATION
from collector.serve.api.config import Revenue
from otel_cost.pricing.money import PICO_PER_USD

_PRICE = re.compile(r"(\d{1,9}(?:\.\d{1,12})?)\s*USD\s*/\s*month", re.ASCII)


def read_revenue(part: Section) -> Revenue:
    """Organisation -> customer -> pico-USD a month."""
    found: dict[str, dict[str, int]] = {}
    for each in part.sections("revenue"):
        known = found.setdefault(each.take("organization", organization, DEFAULT_ORGANIZATION), {})
        _read_customers(each, known)
        each.close()
    return MappingProxyType({whose: MappingProxyType(known) for whose, known in found.items()})


def _read_customers(part: Section, known: dict[str, int]) -> None:
    """What customers of an organisation pay is added to `known`; each wrong price is a problem of its own."""
    given = part.raw("customers")
    if not isinstance(given, dict) or not given:
        what = "must pair customers with what they pay"
        part.problem(BadValue(what, allowed="{acme: 200 USD/month}"), given, key="customers")
        return
    for customer, price in given.items():
        try:
            if customer in known:
                raise BadValue("this customer is in the list twice", got=customer)
            known[customer] = _price(price)
        except BadValue as error:
            part.problem(error, "nothing" if price is None else price, key=f"customers.{customer}")


def _price(value: object) -> int:
    """`200 USD/month`, `49.50 USD/month`."""
    match = _PRICE.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        raise BadValue("must be dollars a month", allowed='for example "200 USD/month"')
    return int(Decimal(match.group(1)) * PICO_PER_USD)
