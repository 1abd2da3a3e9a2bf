"""What a call will need at most, as far as one can tell before it is made.

Input by the ratios of `otel_cost.ratios`: the texts of the request, and its tools. Pictures, sound and files count as
nothing, and cached input as if it were not. Output is what the request allows, or what this model's answers were like
in this process, or `USUAL_OUTPUT_TOKENS`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from time import time_ns
from typing import Any, NamedTuple

from otel_cost.instrument.wire.types import Asked, Head
from otel_cost.pricing import Cost, RateCard, Status, default_card, price
from otel_cost.pricing.units import INPUT, OUTPUT
from otel_cost.ratios import TOKENS_OF_REPLY, TOKENS_PER_MESSAGE, TOKENS_PER_ROLE, tokens_in
from otel_cost.recent import Recent

USUAL_OUTPUT_TOKENS = 1024
"""Of an answer nobody knows anything about. Less, and calls overshoot until a model's first answers are in; more, and
small budgets refuse calls that they have room for."""
MAX_LEARNED = 1024
"""Models whose answers are remembered (twice as many at most)."""
_WEIGHT = 8
"""An answer moves the average by an eighth: a few answers are enough, and a single long one does not decide."""

_ANSWERS = frozenset({"chat", "generate_content", "text_completion"})
_HAS_TOKENS = _ANSWERS | {"embeddings", "moderation", "rerank"}
_LIMITS = frozenset(
    {
        *("max_completion_tokens", "max_output_tokens", "max_tokens", "max_tokens_to_sample", "max_new_tokens"),
        *("maxOutputTokens", "maxTokens", "maxTokenCount", "max_gen_len", "num_predict"),
    }
)
_INSIDE = ("generationConfig", "generation_config", "inferenceConfig", "textGenerationConfig", "options", "parameters")
"""Where APIs keep the limit: Gemini, Bedrock Converse, Titan, Ollama, others."""
_CHOICES = ("n", "candidateCount", "num_generations", "best_of")
_OK = Head(200, {})


class Estimate(NamedTuple):
    """What is reserved for a call."""

    cost_pico_usd: int | None  # None: the model has no price
    tokens: int


class Learned:
    """What answers were like in this process, by model."""

    def __init__(self) -> None:
        self._output: Recent[tuple[str, str], int] = Recent(MAX_LEARNED)
        self._cost: Recent[tuple[str, str], int] = Recent(MAX_LEARNED)

    def learn(self, model: str | None, operation: str, output_tokens: int | None, cost_pico_usd: int | None) -> None:
        """An answer that came."""
        key = (model or "", operation)
        for memory, amount in ((self._output, output_tokens), (self._cost, cost_pico_usd)):
            if amount is not None:
                before = memory.get(key)
                memory.put(key, amount if before is None else before + (amount - before) // _WEIGHT)

    def output_tokens(self, model: str | None, operation: str) -> int:
        """Of an answer whose request sets no limit."""
        learned = self._output.get((model or "", operation))
        return USUAL_OUTPUT_TOKENS if learned is None else learned

    def cost_pico_usd(self, model: str | None, operation: str) -> int | None:
        """Of a call that is not billed by its text; None: there was none yet."""
        return self._cost.get((model or "", operation))


def estimate(asked: Asked, model: str | None, learned: Learned, card: RateCard | None = None) -> Estimate:
    """What a call of `model` needs; `asked` names the model that the app asked for."""
    operation = asked.operation or ""
    name = model or ""
    usage = {INPUT: _input_tokens(asked, name)}
    if operation in _ANSWERS:
        usage[OUTPUT] = _output_tokens(asked, model, learned)
    cost = priced(asked.provider, model, None, usage, asked.context, card)
    if operation not in _HAS_TOKENS:
        usual = learned.cost_pico_usd(model, operation)
        cost = usual if usual is not None else cost
    return Estimate(cost, sum(usage.values()))


def priced(
    provider: str | None,
    request_model: str | None,
    response_model: str | None,
    usage: Mapping[str, int],
    context: Mapping[str, str],
    card: RateCard | None = None,
) -> int | None:
    """What the usage costs now by the card (default: the shipped one), in pico-USD; None: it has no price."""
    cost: Cost = price(
        provider=provider,
        request_model=request_model,
        response_model=response_model,
        at_ns=time_ns(),
        usage=usage,
        context=context,
        card=card or default_card(),
    )
    return None if cost.status is Status.UNPRICED else cost.total_pico_usd


def _input_tokens(asked: Asked, model: str) -> int:
    if asked.operation not in _HAS_TOKENS:
        return 0
    pieces = texts(asked)
    tools = asked.body.get("tools") if isinstance(asked.body, dict) else None
    if tools:
        with suppress(TypeError, ValueError, RecursionError):
            pieces.append(json.dumps(tools, separators=(",", ":")))
    tokens = tokens_in(model, pieces)
    chat = len(pieces) * (TOKENS_PER_MESSAGE + TOKENS_PER_ROLE) + TOKENS_OF_REPLY
    return tokens + chat if asked.operation in _ANSWERS else tokens


def texts(asked: Asked) -> list[str]:
    """The texts of a request, as the reader of its API finds them; where it finds none, the whole body."""
    said = None
    with suppress(Exception):  # of an answer that is empty: readers take any, but this one is ours
        said = asked.api.whole(asked, _OK, {}).said
    found = list(said()[0]) if said is not None else []
    if not found and asked.request.body:
        found = [asked.request.body.decode("latin-1")]
    return found


def _output_tokens(asked: Asked, model: str | None, learned: Learned) -> int:
    body = asked.body if isinstance(asked.body, dict) else {}
    limit = _limit(body)
    each = learned.output_tokens(model, asked.operation or "") if limit is None else limit
    return each * max((_whole(body.get(name)) or 1 for name in _CHOICES), default=1)


def _limit(body: Mapping[str, Any]) -> int | None:
    """The least of the limits that a request sets: all of them hold."""
    places = [body, *(inner for name in _INSIDE if isinstance(inner := body.get(name), dict))]
    said = [_whole(place[name]) for place in places for name in _LIMITS & place.keys()]
    return min((limit for limit in said if limit is not None), default=None)


def _whole(value: object) -> int | None:
    """A positive whole number: Ollama says -1 for no limit."""
    return value if type(value) is int and value > 0 else None
