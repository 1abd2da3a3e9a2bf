"""The API with everything that it shows: made of the service's parts, started after them and stopped before them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC
from functools import partial
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

import pyarrow as pa

from collector.budget_desk import BudgetDesk
from collector.budgets.model import Event
from collector.config import Endpoint
from collector.questions.asking import Answered
from collector.serve.api.app import Page, Path, build_app
from collector.serve.api.budgets import budget_paths, event_json
from collector.serve.api.budgets_approvals import approval_paths
from collector.serve.api.config import ApiConfig
from collector.serve.api.news import BudgetNews, News, news_path
from collector.serve.api.pages import approvals_page, page_routes
from collector.serve.api.runs import run_views
from collector.serve.api.server import ApiServer
from collector.serve.api.sql import SqlAnswer, SqlQuestion, sql_path
from collector.serve.api.trust import price_path, trust_views
from collector.serve.api.viewing import Viewer
from collector.serve.api.views import spend_views
from collector.store import Store
from collector.store.query import query_published
from collector.store.user_query import UserQuery, ask
from collector.tls import server_context
from otel_cost.pricing import RateCard
from otel_cost.pricing.overrides import Cards

T = TypeVar("T")


class _Published:
    """Answers questions from the published file (`collector.questions.asking.Asking`)."""

    def __init__(self, store: Store) -> None:
        self._path = store.layout.published
        self._threads = ThreadPoolExecutor(2, "otel-cost-ask")

    async def answer(
        self, question: Callable[..., T], *arguments: Any, timeout_seconds: float | None = None, **named: Any
    ) -> Answered[T]:
        del timeout_seconds
        asked = partial(self._answer, question, *arguments, **named)
        return await asyncio.get_running_loop().run_in_executor(self._threads, asked)

    def _answer(self, question: Callable[..., T], *arguments: Any, **named: Any) -> Answered[T]:
        published = self._ask("SELECT published_at, last_seq FROM publication", {}).to_pylist()[0]
        value = question(self._ask, *arguments, **named)
        return Answered(value, published["published_at"].replace(tzinfo=UTC), published["last_seq"])

    def _ask(self, statement: str, parameters: Mapping[str, object]) -> pa.Table:
        return query_published(self._path, statement, parameters)


class ApiDesk:
    """`start()` and `stop()` run on the event loop that answers. `cards` gives the rates in use."""

    def __init__(self, config: ApiConfig, store: Store, budgets: BudgetDesk, cards: Callable[[], Cards]) -> None:
        self.news = News()
        self._cards = cards
        self._store = store
        budgets.counters.on_applied(lambda moves: self.news.happened(_news(event) for event in moves.events))
        viewer = Viewer(_Published(store), ZoneInfo(config.time_zone))
        views = [*spend_views(), *run_views(self._card_of, config.jaeger), *trust_views()]
        paths: list[Path] = [
            *(viewer.route(view) for view in views),
            price_path(lambda: cards().card()),
            sql_path(partial(_asked, store)),
            news_path(self.news),
            *approval_paths(budgets),
            *budget_paths(budgets),
        ]
        pages: list[Page] = [approvals_page()]
        app = build_app(config, paths, pages, page_routes(), {"jaeger": config.jaeger})
        tls = None if config.tls is None else server_context(config.tls)
        self._server = ApiServer(config.endpoint, app, tls)

    async def start(self) -> Endpoint:
        """Listen. Raises CannotListen."""
        self.news.start()
        return await self._server.start()

    async def stop(self) -> None:
        self.news.stop()
        await self._server.stop()

    def _card_of(self, digest: str | None) -> RateCard:
        cards = self._cards()
        return cards.find(digest) or cards.card()


def _asked(store: Store, question: SqlQuestion) -> SqlAnswer:
    return ask(store.layout.published, UserQuery(question.sql, question.timeout_seconds))


def _news(event: Event) -> BudgetNews:
    return BudgetNews(event.key.org_id, event_json(event))
