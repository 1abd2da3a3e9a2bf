"""The services of the company, and what one request to each of them does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random

from collector.sample.seasons import ALL_DAYS, EVENINGS, NIGHTLY, OFFICE, WORKDAYS, Happenings, Season
from collector.sample.trace import Model, Trace, Usage, Value, Work
from otel_cost import attributes as keys

GPT_MINI = Model("openai", "gpt-5-mini", "gpt-5-mini-2025-08-07", 150)
GPT = Model("openai", "gpt-5", "gpt-5-2025-08-07", 90)
GPT_4O = Model("openai", "gpt-4o", "gpt-4o-2024-08-06", 110)
SMALL_EMBEDDINGS = Model("openai", "text-embedding-3-small", "text-embedding-3-small", 10_000)
HAIKU = Model("anthropic", "claude-haiku-4-5", "claude-haiku-4-5-20251001", 160)
SONNET = Model("anthropic", "claude-sonnet-4-6", "claude-sonnet-4-6", 80)
FLASH = Model("gcp.gemini", "gemini-2.5-flash", "gemini-2.5-flash", 200)
HOUSE = Model("vllm", "house-llm", "house-llm", 60)
"""Runs on rented machines, at a price of its own that the example config has."""
PREVIEW = Model("acme-labs", "nova-preview", "nova-preview-0905", 100)
"""No card knows it: its calls are unpriced."""

CUSTOMERS = (
    *("acme", "globex", "initech", "umbrella", "hooli", "stark", "wayne", "wonka", "tyrell", "cyberdyne", "soylent"),
    *("massive", "vandelay", "duff", "oscorp", "pied-piper", "aperture", "monarch", "gringotts", "sirius", "nakatomi"),
    *("weyland", "virtucon", "zorin", "octan", "dunder", "sterling", "prestige", "bluth", "los-pollos"),
)
_WEIGHTS = [1 / (place + 1.5) for place in range(len(CUSTOMERS))]


@dataclass(frozen=True, slots=True)
class Scene:
    """Where and when a request happens."""

    moment: datetime
    happenings: Happenings


Script = Callable[[Trace, Scene], None]


@dataclass(frozen=True, slots=True)
class Workload:
    """A service. `share`: its part of all calls; `calls`: how many a request makes, about."""

    service: str
    environment: str
    region: str
    share: float
    calls: float
    season: Season
    script: Script

    @property
    def resource(self) -> dict[str, Value]:
        """What all its spans share."""
        return {
            "service.name": self.service,
            keys.DEPLOYMENT_ENVIRONMENT_NAME: self.environment,
            "cloud.region": self.region,
            "telemetry.sdk.language": "python",
        }


def _support(trace: Trace, scene: Scene) -> None:
    """A turn of a customer's conversation: sorted, looked up, answered; sometimes summed up."""
    random = trace.random
    customer = random.choices(CUSTOMERS, _WEIGHTS)[0]
    root = trace.begin()
    triage = trace.begin(root)
    trace.call(triage, GPT_MINI, Usage(_about(random, 700), _about(random, 60), reasoning=32))
    trace.end_agent(triage, "triage", root)
    answering = trace.begin(root)
    search = trace.begin(answering)
    trace.call(search, SMALL_EMBEDDINGS, Usage(_about(random, 40), 0), operation="embeddings")
    trace.end(search, "execute_tool search", {keys.GEN_AI_OPERATION_NAME: "execute_tool"}, answering)
    has_documents = _within(scene.moment, scene.happenings.long_prompts)
    read = _about(random, 3_200) * (5 if has_documents else 1)
    cached = 0 if has_documents else int(read * random.choice((0, 0.55, 0.6, 0.7)))
    model = SONNET if scene.moment >= scene.happenings.model_switched else HAIKU
    usage = Usage(read, _about(random, 380), cached=cached, cache_written=0 if cached else read // 3)
    _answer(trace, answering, model, usage)
    trace.end_agent(answering, "answerer", root)
    if random.random() < 0.15:
        trace.call(root, GPT_MINI, Usage(_about(random, 2_400), _about(random, 180), reasoning=64))
    said: dict[str, Value] = {
        keys.OTEL_COST_TEAM: "customer-success",
        keys.OTEL_COST_FEATURE: "support-chat",
        keys.OTEL_COST_CUSTOMER: customer,
        keys.OTEL_COST_USER: f"{customer}-{random.randrange(1, 40)}",
        keys.OTEL_COST_CONVERSATION: f"conv-{scene.moment:%m%d}-{random.randrange(1, 160):03d}",
        keys.OTEL_COST_PROJECT: "helpdesk",
    }
    trace.end(root, "POST /chat", said)


def _answer(trace: Trace, work: Work, model: Model, usage: Usage) -> None:
    """A call that may fail at first: refused without a bill, or cut off and billed."""
    luck = trace.random.random()
    if luck < 0.03:
        trace.call(work, model, None, error="rate_limit_exceeded")
    elif luck < 0.04:
        trace.call(work, model, usage._replace(written=usage.written // 4), error="timeout")
    trace.call(work, model, usage)


def _documents(trace: Trace, scene: Scene) -> None:
    """A contract of the nightly run: read, checked, filed. All of a night are one run; a few are of no customer."""
    random = trace.random
    root = trace.begin()
    team = trace.begin(root)
    for _ in range(random.randrange(2, 6)):
        trace.call(team, HOUSE, Usage(_about(random, 6_000), _about(random, 500)))
    checking = trace.begin(team)
    _answer(trace, checking, GPT, Usage(_about(random, 5_000), _about(random, 700), reasoning=_about(random, 200)))
    trace.end_agent(checking, "contract_checker", team)
    trace.end_agent(team, "extractor_v3", root)
    if random.random() < 0.2:
        trace.call(root, PREVIEW, Usage(_about(random, 2_000), _about(random, 200)))
    said: dict[str, Value] = {
        keys.OTEL_COST_RUN: f"nightly-{scene.moment:%Y-%m-%d}",
        keys.OTEL_COST_TEAM: "legal",
        keys.OTEL_COST_FEATURE: "contract-intake",
        keys.OTEL_COST_PROJECT: "contracts",
    }
    if random.random() < 0.85:
        said[keys.OTEL_COST_CUSTOMER] = random.choices(CUSTOMERS, _WEIGHTS)[0]
    trace.end(root, "contract", said)


def _reviews(trace: Trace, scene: Scene) -> None:
    """A code review: an agent that reads, thinks and comments, and now and then does not find the end."""
    random = trace.random
    number = random.randrange(1000, 9999)
    root = trace.begin()
    reviewer = trace.begin(root)
    steps = random.randrange(3, 8)
    if _within(scene.moment, scene.happenings.loop):
        steps *= 9
    read = _about(random, 4_000)
    for _ in range(steps):
        usage = Usage(read, _about(random, 420), cached=int(read * 0.8), cache_written=int(read * 0.08))
        _answer(trace, reviewer, SONNET, usage)
        tool = trace.begin(reviewer)
        trace.end(tool, "execute_tool read_file", {keys.GEN_AI_OPERATION_NAME: "execute_tool"}, reviewer)
        read = min(read + _about(random, 900), 9_000)
    trace.end_agent(reviewer, "code_reviewer", root)
    said: dict[str, Value] = {
        keys.OTEL_COST_RUN: f"pr-{number}-{random.randrange(1, 4)}",
        keys.OTEL_COST_TEAM: "platform",
        keys.OTEL_COST_FEATURE: "code-review",
        keys.OTEL_COST_USER: random.choice(("ada", "grace", "linus", "barbara", "ken", "margaret")),
        keys.OTEL_COST_PROJECT: random.choice(("web", "billing", "mobile")),
    }
    trace.end(root, "review pull request", said)


def _search(trace: Trace, _: Scene) -> None:
    """A question to the public search: embedded, answered in a line. Guests have no customer."""
    random = trace.random
    root = trace.begin()
    trace.call(root, SMALL_EMBEDDINGS, Usage(_about(random, 30), 0), operation="embeddings")
    trace.call(root, FLASH, Usage(_about(random, 1_800), _about(random, 120)))
    said: dict[str, Value] = {keys.OTEL_COST_FEATURE: "search", keys.OTEL_COST_TEAM: "growth"}
    if random.random() < 0.6:
        said[keys.OTEL_COST_CUSTOMER] = random.choices(CUSTOMERS, _WEIGHTS)[0]
    trace.end(root, "GET /search", said)


def _experiments(trace: Trace, _: Scene) -> None:
    """Trials before a release: several models, some without a price, some that fail for good."""
    random = trace.random
    root = trace.begin()
    model = random.choice((GPT_4O, GPT_4O, GPT, PREVIEW, HOUSE))
    trace.call(root, model, Usage(_about(random, 1_500), _about(random, 300)))
    if random.random() < 0.1:
        trace.call(root, GPT_4O, None, error="invalid_request_error")
    trace.end(root, "evaluation", {keys.OTEL_COST_TEAM: "research", keys.OTEL_COST_FEATURE: "evaluation"})


def _about(random: Random, usual: int) -> int:
    """A number of tokens around what is usual; most often a little less, sometimes much more."""
    return max(1, int(usual * random.lognormvariate(-0.06, 0.35)))


def _within(moment: datetime, period: tuple[datetime, datetime]) -> bool:
    return period[0] <= moment < period[1]


WORKLOADS = (
    Workload("helpdesk", "production", "eu-west-1", 0.42, 3.2, Season(EVENINGS, ALL_DAYS, 0.22), _support),
    Workload("contracts", "production", "eu-west-1", 0.16, 4.7, Season(NIGHTLY, WORKDAYS, 0.05), _documents),
    Workload("code-review", "production", "us-east-1", 0.16, 5.1, Season(OFFICE, WORKDAYS, 0.30), _reviews),
    Workload("search", "production", "us-east-1", 0.22, 2.0, Season(EVENINGS, ALL_DAYS, 0.10), _search),
    Workload("evaluation", "staging", "us-east-1", 0.04, 1.1, Season(OFFICE, WORKDAYS, 0.0), _experiments),
)


def at_ns(moment: datetime) -> int:
    """Nanoseconds since 1970 of an aware time."""
    return int(moment.astimezone(UTC).timestamp()) * 1_000_000_000
