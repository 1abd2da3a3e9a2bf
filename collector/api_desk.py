"""The API with everything that it shows: made of the service's parts, started after them and stopped before them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import TypeVar
from zoneinfo import ZoneInfo

from collector.budget_desk import BudgetDesk
from collector.budgets.model import Event
from collector.compare_desk import CompareDesk
from collector.config import Endpoint
from collector.errors import CannotListen
from collector.questions.asking import Asking
from collector.serve.api.app import Page, Path, build_app
from collector.serve.api.badge import badge_path
from collector.serve.api.budgets import budget_paths, event_json
from collector.serve.api.budgets_approvals import approval_paths
from collector.serve.api.compared import Compare, compare_path
from collector.serve.api.config import ApiConfig, Revenue
from collector.serve.api.customers import NO_REVENUE, customers_view
from collector.serve.api.exports import export_paths
from collector.serve.api.forecasts import forecast_paths
from collector.serve.api.news import BudgetNews, News, news_path
from collector.serve.api.pages import approvals_page, page_routes
from collector.serve.api.runs import run_views
from collector.serve.api.server import ApiServer
from collector.serve.api.sql import AskSql, SqlAnswer, SqlQuestion, sql_path
from collector.serve.api.trust import price_path, trust_views
from collector.serve.api.viewing import Viewer
from collector.serve.api.views import spend_views
from collector.store import Store
from collector.store.asking import Reading
from collector.store.user_query import UserQuery, ask
from collector.tls import server_context
from otel_cost.pricing import RateCard
from otel_cost.pricing.overrides import Cards

logger = logging.getLogger(__name__)

T = TypeVar("T")

SQL_MEMORY_MIB = 512
"""Of one statement: half of what `otel-cost sql` gives, beside a collector and another statement."""


class ApiDesk:
    """`start()` and `stop()` run on the event loop that answers. `cards` gives the rates in use."""

    def __init__(self, config: ApiConfig, store: Store, budgets: BudgetDesk, cards: Callable[[], Cards]) -> None:
        self.news = News()
        self._config = config
        budgets.counters.on_applied(lambda moves: self.news.happened(_news(event) for event in moves.events))
        zone = ZoneInfo(config.time_zone)
        self._reading = Reading(store.layout.published, zone, self.news.changed)
        viewer = Viewer(self._reading, zone)
        compare = CompareDesk(store.layout.published, cards)
        ask_sql = partial(_asked, store)
        paths = all_paths(viewer, budgets, cards, ask_sql, compare, self.news, config.jaeger, config.revenue)
        pages: list[Page] = [approvals_page()]
        app = build_app(config, paths, pages, page_routes(self._reading.warm), {"jaeger": config.jaeger})
        tls = None if config.tls is None else server_context(config.tls)
        self._server = ApiServer(config.endpoint, app, tls)

    @property
    def asking(self) -> Asking | None:
        """Answers questions about the ledger, between `start` and `stop`; None while that would start a process."""
        return self._reading if self._reading.is_running else None

    def published(self, last_seq: int) -> None:
        """There is another publication, up to `last_seq`: whoever listens is told, once questions are answered from it.

        Who asked before would see the former one, and hear of nothing else. From any thread.
        """
        if not self._reading.is_running:
            self.news.changed(datetime.now(UTC), last_seq)

    async def start(self) -> Endpoint | None:
        """Listen. Where nobody asked for the API and its address is taken, go on without it: None.

        Raises:
            CannotListen: the address that the config gives is taken or not of this machine.
        """
        self.news.start()
        try:
            listening = await self._server.start()
            self._reading.start()
            return listening
        except CannotListen as error:
            if self._config.is_given:
                raise
            logger.warning("%s: no page is served; another collector? set extensions.api.endpoint", error)
            return None

    async def stop(self) -> None:
        self.news.stop()
        await self._server.stop()
        await asyncio.to_thread(self._reading.stop)


def all_paths(
    viewer: Viewer,
    budgets: BudgetDesk,
    cards: Callable[[], Cards],
    ask_sql: AskSql,
    compare: Compare,
    news: News,
    jaeger: str | None,
    revenue: Revenue = NO_REVENUE,
) -> list[Path]:
    """Every route but those that every API has (the list of routes, the description, login). Of two that fit a request
    the first answers."""

    def card_of(digest: str | None) -> RateCard:
        held = cards()
        return held.find(digest) or held.card()

    return [
        *(viewer.route(view) for view in (*spend_views(), *run_views(card_of, jaeger), *trust_views())),
        viewer.route(customers_view(revenue)),
        *forecast_paths(viewer, budgets),
        *export_paths(viewer, revenue),
        badge_path(viewer),
        compare_path(viewer, compare),
        price_path(viewer, lambda: cards().card()),
        sql_path(ask_sql),
        news_path(news),
        *approval_paths(budgets),
        *budget_paths(budgets),
    ]


def _asked(store: Store, question: SqlQuestion) -> SqlAnswer:
    query = UserQuery(question.sql, question.timeout_seconds, SQL_MEMORY_MIB, question.organization, question.limit + 1)
    return ask(store.layout.published, query)


def _news(event: Event) -> BudgetNews:
    return BudgetNews(event.key.org_id, event_json(event))
