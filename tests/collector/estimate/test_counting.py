"""Token counts of texts: exact where a tokenizer is public, by a ratio elsewhere, learned where calls say both."""

from __future__ import annotations

import pytest

from collector.estimate import counting
from collector.estimate.calibration import Calibration
from collector.estimate.counting import by_ratio, by_tokenizer, encoding_of, tokenizer
from collector.estimate.text import Text, read_text
from collector.limits import CALIBRATION_SPANS, MAX_CALIBRATIONS, MAX_ESTIMATED_TEXT_CHARACTERS, TRUNCATION_MARK
from otel_cost.ratios import ratio_of, tokens_in


@pytest.mark.parametrize(
    ("encoding", "text", "tokens"),
    [
        # tiktoken's README and OpenAI's cookbook ("How to count tokens with tiktoken")
        ("o200k", "tiktoken is great!", 6),
        ("cl100k", "tiktoken is great!", 6),
        ("cl100k", "antidisestablishmentarianism", 6),
        ("o200k", "antidisestablishmentarianism", 6),
        ("cl100k", "2 + 2 = 4", 7),
        ("o200k", "2 + 2 = 4", 7),
        ("cl100k", "お誕生日おめでとう", 9),
        ("o200k", "お誕生日おめでとう", 8),
        ("o200k", "<|endoftext|>", 7),  # as text, never as the special token
        ("o200k", "", 0),
        ("o200k", "\ud800", 1),
    ],
)
def test_a_tokenizer_counts_as_published(encoding: str, text: str, tokens: int) -> None:
    """Counts that others published for these texts."""
    found = tokenizer(encoding)
    assert found is not None
    assert by_tokenizer(found, [text]) == tokens


@pytest.mark.parametrize(
    ("model", "encoding"),
    [
        ("gpt-4o-mini-2024-07-18", "o200k"),
        ("openai/gpt-4.1", "o200k"),
        ("GPT-5.2", "o200k"),
        ("o3-mini", "o200k"),
        ("openai.gpt-oss-120b", "o200k"),
        ("ft:gpt-4o:shop", "o200k"),
        ("gpt-4-turbo", "cl100k"),
        ("gpt-35-turbo", "cl100k"),
        ("text-embedding-3-small", "cl100k"),
        ("gpt-4x", None),
        ("o30", None),
        ("claude-opus-4-5", None),
        ("my-gpt-4o", None),
        ("", None),
    ],
)
def test_only_known_families_have_an_encoding(model: str, encoding: str | None) -> None:
    """A name that merely begins alike is no member of a family."""
    assert encoding_of(model) == encoding


def test_without_the_extra_there_is_no_tokenizer(monkeypatch: pytest.MonkeyPatch) -> None:
    """The import is tried when a count is wanted; without the package the ratio is used."""

    def missing(name: str) -> None:
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(counting, "import_module", missing)
    tokenizer.cache_clear()
    assert tokenizer("o200k") is None
    tokenizer.cache_clear()


@pytest.mark.parametrize(
    ("model", "text", "tokens"),
    [
        ("gemini-2.5-pro", "a" * 46, 10),
        ("gemini-2.5-pro", "a" * 47, 11),
        ("gemini-2.5-pro", "漢" * 29, 20),
        ("gemini-2.5-pro", "Ж" * 20, 10),
        ("gemini-2.5-pro", "a" * 23 + "漢" * 29 + "Ж" * 20, 35),
        ("claude-3-5-sonnet-20241022", "a" * 35, 10),
        ("claude-opus-4-20250514", "a" * 35, 10),
        ("claude-opus-4-6", "a" * 35, 10),
        ("claude-opus-4-7", "a" * 35, 12),
        ("anthropic/claude-opus-4.7", "a" * 35, 12),
        ("claude-sonnet-5", "a" * 35, 12),
        ("claude-opus-5-20270101", "a" * 36, 13),
        ("any", "", 0),
        ("any", "\ud800", 1),
    ],
)
def test_a_ratio_depends_on_script_and_model(model: str, text: str, tokens: int) -> None:
    """4.6 ASCII, 1.45 CJK and 2 other characters a token; 3.5 ASCII of Claude, a fifth more tokens from 4.7 on."""
    assert by_ratio(ratio_of(model), [text]) == tokens_in(model, [text]) == tokens


def test_calibration_is_used_after_enough_calls_and_forgets_the_longest_unused() -> None:
    """Sums of tokens and characters, model by model and side by side."""
    learned = Calibration()
    for _ in range(CALIBRATION_SPANS - 1):
        learned.learn("m", True, 10, 30)
    assert learned.tokens("m", True, 300) is None
    learned.learn("m", True, 10, 30)
    learned.learn("m", True, 0, 30)  # teaches nothing
    assert (learned.tokens("m", True, 300), learned.tokens("m", True, 301)) == (100, 101)
    assert learned.tokens("m", False, 300) is None
    for number in range(MAX_CALIBRATIONS):
        learned.learn(f"other-{number}", True, 1, 1)
    assert learned.tokens("m", True, 300) is None


@pytest.mark.parametrize(
    ("value", "pieces", "messages"),
    [
        ("plain text", ["plain text"], 1),
        ('[{"role":"user","parts":[{"type":"text","content":"Hello"}]}]', ["Hello"], 1),
        ('[{"role":"user","content":"a"},{"role":"user","content":[{"type":"text","text":"b"}]}]', ["a", "b"], 2),
        ('[{"type":"text","content":"be brief"},{"type":"text","content":"be kind"}]', ["be brief", "be kind"], 1),
        (
            '[{"role":"assistant","parts":[{"type":"tool_call","id":"x","name":"get","arguments":{"a":1}}]}]',
            ["get", '{"a":1}'],
            1,
        ),
        ('[{"role":"user","parts":[{"type":"blob","content":"AAAA"},{"type":"text","content":"see"}]}]', ["see"], 1),
        ('{"answer": 42}', ['{"answer": 42}'], 1),
        ("[1, 2]", ["[1, 2]"], 1),
        ('[{"role":"user","content":"cut \\u00e9 he', ["cut é he"], 1),
        ("[" * 100_000, ["[" * 100_000], 1),
    ],
)
def test_messages_are_read_as_the_dialects_write_them(value: str, pieces: list[str], messages: int) -> None:
    """Text and tool calls count, images do not; what is no conversation counts as it stands."""
    assert read_text(value) == (pieces, messages)


def test_long_text_is_counted_up_to_the_bound() -> None:
    """What is beyond it, or was cut on arrival, is named as cut."""
    text = Text()
    assert text.add("a" * (MAX_ESTIMATED_TEXT_CHARACTERS + 1), None, MAX_ESTIMATED_TEXT_CHARACTERS) == 0
    assert (text.characters, text.is_cut) == (MAX_ESTIMATED_TEXT_CHARACTERS, True)
    cut = Text()
    cut.add("abc" + TRUNCATION_MARK, None, 100)
    assert (cut.pieces, cut.is_cut) == (["abc"], True)
