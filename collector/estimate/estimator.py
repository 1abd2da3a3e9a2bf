"""Estimating after normalising: over columns until the few calls are found that need it, then call by call."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from collector.decode.columns import CallColumns, SpanBatch
from collector.estimate.calibration import Calibration
from collector.estimate.counting import by_ratio, by_tokenizer, encoding_of, tokenizer
from collector.estimate.text import Text, room_for_text
from collector.limits import CALIBRATION_SPANS_PER_PART
from otel_cost.call import CallKind, Flag
from otel_cost.normalise.content import Content, content_of
from otel_cost.ratios import TOKENS_OF_REPLY, TOKENS_PER_MESSAGE, TOKENS_PER_ROLE, ratio_of

logger = logging.getLogger(__name__)

Array = npt.NDArray[Any]
Said = dict[bool, Text]
"""What a span says: True -> its input, False -> its output."""

INPUT, OUTPUT = "input_tokens", "output_tokens"
_CHAT = frozenset({"chat", "generate_content", ""})
_TEXT = _CHAT | {"text_completion", "embeddings"}
"""Operations that are billed by tokens of text; all others bill what no text shows. "": the span does not say."""
_MISSING, _ESTIMATED = int(Flag.USAGE_MISSING), int(Flag.ESTIMATED)
_UNREADABLE = int(Flag.NEGATIVE | Flag.NOT_A_NUMBER | Flag.TOO_LARGE)
_content_of = lru_cache(maxsize=4096)(content_of)


class Estimator:
    """Estimates batch after batch and learns from them. Not thread-safe; never raises."""

    def __init__(self, count_failures: Callable[[int], None]) -> None:
        self._calibration = Calibration()
        self._count_failures = count_failures

    def estimate(self, batch: SpanBatch, calls: CallColumns) -> tuple[CallColumns, Mapping[int, str]]:
        """The calls with estimated tokens, flagged, where a span reports none and says what was said.

        Returns them with the way of estimating, by row. A call is left as it is when it failed, reports a cost, says
        a count that cannot be read, has no captured text, or is no text operation.
        """
        try:
            kept = _Captured.of(batch)
            return (calls, {}) if kept is None else self._estimate(kept, calls)
        except Exception:
            logger.exception("tokens of %d spans cannot be estimated", batch.spans.num_rows)
            self._count_failures(1)
            return calls, {}

    def _estimate(self, kept: _Captured, calls: CallColumns) -> tuple[CallColumns, Mapping[int, str]]:
        flags = _numpy(calls.calls.column("flags"))
        reported = calls.calls.column("reported_cost_pico_usd").is_valid().to_numpy()
        has_text = kept.has_text(calls.calls.num_rows)
        wanted = (flags & (_MISSING | _UNREADABLE) == _MISSING) & ~reported & has_text
        self._learn(kept, calls, has_text & (flags & (_MISSING | _ESTIMATED | _UNREADABLE) == 0))
        found: dict[int, tuple[dict[bool, int], str]] = {}
        for row, model, operation, said in kept.calls(calls.calls, np.flatnonzero(wanted)):
            try:
                tokens, method = self._tokens(model, operation, said)
            except Exception:
                logger.exception("the tokens of a call of %r cannot be estimated", model[:100])
                self._count_failures(1)
                continue
            if any(tokens.values()):
                found[row] = tokens, method
        if not found:
            return calls, {}
        return _with_tokens(calls, flags, found), {row: method for row, (_, method) in found.items()}

    def _learn(self, kept: _Captured, calls: CallColumns, where: Array) -> None:
        """Take some calls with usage and text, spread over the batch."""
        rows = np.flatnonzero(where)
        if not len(rows):
            return
        rows = rows[:: -(-len(rows) // CALIBRATION_SPANS_PER_PART)]
        used = {is_input: calls.usage.get(unit) for is_input, unit in ((True, INPUT), (False, OUTPUT))}
        for row, model, _operation, said in kept.calls(calls.calls, rows):
            if _tokenizer_of(model) is not None:
                continue
            for is_input, text in said.items():
                column = used[is_input]
                tokens = None if column is None else column[row].as_py()
                if tokens and not text.is_cut:
                    self._calibration.learn(model, is_input, tokens, text.characters)

    def _tokens(self, model: str, operation: str, said: Said) -> tuple[dict[bool, int], str]:
        counts: dict[bool, int] = {}
        methods: dict[bool, str] = {}
        for is_input, text in sorted(said.items(), reverse=True):
            if text.characters:
                overhead = 0
                if is_input and operation in _CHAT:
                    overhead = text.messages * (TOKENS_PER_MESSAGE + TOKENS_PER_ROLE) + TOKENS_OF_REPLY
                counts[is_input], methods[is_input] = self._side(model, is_input, text, overhead)
        return counts, _described(methods, said, operation)

    def _side(self, model: str, is_input: bool, text: Text, overhead: int) -> tuple[int, str]:
        exact = _tokenizer_of(model)
        if exact is not None:
            return by_tokenizer(exact, text.pieces) + overhead, f"tokenizer:{encoding_of(model)}"
        learned = self._calibration.tokens(model, is_input, text.characters)
        if learned is not None:
            return learned, "calibrated"  # with what the provider adds
        ratio = ratio_of(model)
        return by_ratio(ratio, text.pieces) + overhead, f"ratio:{ratio}"


def _tokenizer_of(model: str) -> Any:
    encoding = encoding_of(model)
    return None if encoding is None else tokenizer(encoding)


def _described(methods: Mapping[bool, str], said: Said, operation: str) -> str:
    distinct = list(dict.fromkeys(methods.values()))
    words = distinct if len(distinct) < 2 else [f"{methods[True]} (input), {methods[False]} (output)"]
    if True not in methods:
        words.append("no input text")
    if False not in methods and operation != "embeddings":
        words.append("no output text")
    if any(text.is_cut for text in said.values()):
        words.append("text was cut")
    return ", ".join(words)


class _Captured:
    """The attributes of a batch that hold captured text."""

    def __init__(self, contents: list[Content | None], keys: Array, owners: Array, values: pa.Array) -> None:
        holds = np.array([content is not None for content in contents], np.bool_)
        self._contents = contents
        self._rows = np.flatnonzero(holds[keys])  # attribute rows, by owner ascending
        self._keys, self._owners, self._values = keys[self._rows], owners[self._rows], values

    @classmethod
    def of(cls, batch: SpanBatch) -> _Captured | None:
        """None: there are none, which takes one look at the names of the batch's attributes."""
        attributes = batch.attributes
        key = _one(attributes.column("key"))
        contents = [None if name is None else _content_of(name) for name in key.dictionary.to_pylist()]
        if not any(contents):
            return None
        owners, values = attributes.column("owner_index"), attributes.column("string_value")
        return cls(contents, key.indices.to_numpy(), _numpy(owners), _one(values))

    def has_text(self, spans: int) -> Array:
        """Which spans have any such attribute."""
        found = np.zeros(spans, np.bool_)
        found[self._owners] = True
        return found

    def calls(self, calls: pa.Table, rows: Array) -> list[tuple[int, str, str, Said]]:
        """Row, model, operation and text of those of the rows that are text operations of a named model."""
        columns = ("call_kind", "failed", "operation", "response_model", "request_model")
        found = []
        for row, call in zip(rows.tolist(), calls.select(columns).take(pa.array(rows)).to_pylist(), strict=True):
            model, operation = call["response_model"] or call["request_model"] or "", call["operation"] or ""
            if call["call_kind"] == CallKind.LEAF and not call["failed"] and model and operation in _TEXT:
                found.append((row, model, operation, self._said(row)))
        return found

    def _said(self, row: int) -> Said:
        first, end = np.searchsorted(self._owners, [row, row + 1])
        contents = [self._contents[key] for key in self._keys[first:end].tolist()]
        texts = self._values.take(pa.array(self._rows[first:end])).to_pylist()
        held = [(content, text) for content, text in zip(contents, texts, strict=True) if content and text]
        said: Said = {}
        room = room_for_text()
        for is_input in (True, False):
            group = min((content.group for content, _ in held if content.is_input is is_input), default=None)
            side = [pair for pair in held if (pair[0].is_input, pair[0].group) == (is_input, group)]
            if side:
                said[is_input], room = _side_of(side, room)
        return said


def _side_of(side: Sequence[tuple[Content, str]], room: int) -> tuple[Text, int]:
    text = Text()
    numbered: set[int] = set()
    for content, value in side:
        room = text.add(value, None if content.message < 0 else content.message not in numbered, room)
        numbered.add(content.message)
    return text, room


def _with_tokens(calls: CallColumns, flags: Array, found: Mapping[int, tuple[Mapping[bool, int], str]]) -> CallColumns:
    usage = dict(calls.usage)
    for is_input, unit in ((True, INPUT), (False, OUTPUT)):
        rows = [row for row, (tokens, _) in found.items() if is_input in tokens]
        if not rows:
            continue
        values, present = np.zeros(len(flags), np.int64), np.zeros(len(flags), np.bool_)
        if unit in usage:
            column = _one(usage[unit])
            values, present = column.fill_null(0).to_numpy().copy(), column.is_valid().to_numpy(zero_copy_only=False)
        values[rows], present = [found[row][0][is_input] for row in rows], np.array(present)
        present[rows] = True
        usage[unit] = pa.chunked_array([pa.array(values, mask=~present)])
    flagged = flags.copy()
    flagged[list(found)] |= _ESTIMATED
    place = calls.calls.schema.get_field_index("flags")
    table = calls.calls.set_column(place, calls.calls.schema.field(place), pa.array(flagged))
    return CallColumns(table, usage, calls.sources)


def _one(column: pa.ChunkedArray) -> pa.Array:
    if column.num_chunks == 1:
        return column.chunk(0)
    whole = column.unify_dictionaries().combine_chunks()
    return whole if isinstance(whole, pa.Array) else pa.concat_arrays(whole.chunks)


def _numpy(column: pa.ChunkedArray) -> Array:
    values: Array = _one(column).to_numpy(zero_copy_only=False)
    return values
