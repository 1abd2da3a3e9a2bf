"""The price stage: what each call of a batch costs, read from the same card and rules as in the app, as columns."""

from collector.price.cards import price_calls
from collector.price.columns import price_columns
from collector.price.table import card_table

__all__ = ["card_table", "price_calls", "price_columns"]
