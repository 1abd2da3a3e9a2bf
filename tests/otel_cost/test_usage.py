"""Every token lands in exactly one cell, whatever the emitter said."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from otel_cost import usage as usage_module
from otel_cost.call import Flag
from otel_cost.pricing import units
from otel_cost.usage import MAX_PLANS, clean, counted, split

COUNTS = st.integers(0, 3_000)
TOKEN_KEYS = sorted(key for key, unit in units.UNITS.items() if unit.family == "tokens")


def test_cached_and_written_tokens_are_taken_out_of_the_input() -> None:
    """browser-use#5305: 2,000 prompt tokens with 500 read and 300 written leave 1,200 uncached, not 1,500."""
    parts = split({"input_tokens": 2_000, "cache_read_tokens": 500, "cache_write_tokens": 300}).parts
    assert parts == {"input_tokens": 1_200, "cache_read_tokens": 500, "cache_write_tokens": 300}


def test_nearly_all_cached() -> None:
    """aider#5516: 17,111 prompt tokens of which 17,102 read leave 9."""
    assert split({"input_tokens": 17_111, "cache_read_tokens": 17_102}).parts["input_tokens"] == 9


def test_writes_of_an_hour_are_part_of_the_writes() -> None:
    usage = {"input_tokens": 100, "cache_write_tokens": 60, "cache_write_1h_tokens": 40}
    assert split(usage).parts == {"input_tokens": 40, "cache_write_tokens": 20, "cache_write_1h_tokens": 40}


def test_a_missing_total_of_writes_is_the_sum_of_its_parts() -> None:
    usage = {"input_tokens": 100, "cache_write_5m_tokens": 10, "cache_write_1h_tokens": 40}
    assert split(usage).parts == {"input_tokens": 50, "cache_write_tokens": 10, "cache_write_1h_tokens": 40}


def test_more_cached_than_input_means_that_the_input_excludes_it() -> None:
    found = split({"input_tokens": 53, "cache_read_tokens": 2_560})
    assert found.parts == {"input_tokens": 53, "cache_read_tokens": 2_560}
    assert found.input_tokens == 2_613
    assert found.flags == Flag.CACHE_EXCLUSIVE


def test_reasoning_is_part_of_the_output_and_never_more() -> None:
    assert split({"output_tokens": 50, "output_reasoning_tokens": 20}).parts == {
        "output_tokens": 30,
        "output_reasoning_tokens": 20,
    }
    found = split({"output_tokens": 50, "output_reasoning_tokens": 70})
    assert found.parts == {"output_reasoning_tokens": 50}
    assert found.flags == Flag.CLAMPED


def test_modalities_are_taken_out_of_the_text() -> None:
    usage = {"input_tokens": 1_000, "input_audio_tokens": 200, "input_image_tokens": 300, "cache_read_tokens": 400}
    assert split(usage).parts == {
        "input_tokens": 100,
        "input_audio_tokens": 200,
        "input_image_tokens": 300,
        "cache_read_tokens": 400,
    }


def test_a_reported_overlap_goes_to_its_own_cell() -> None:
    usage = {"input_tokens": 900, "input_audio_tokens": 300, "cache_read_tokens": 400, "cache_audio_read_tokens": 250}
    assert split(usage).parts == {
        "input_tokens": 450,
        "input_audio_tokens": 50,
        "cache_read_tokens": 150,
        "cache_audio_read_tokens": 250,
    }


def test_an_overlap_that_follows_from_the_counts_is_not_cut() -> None:
    """All input is audio and 600 tokens of it were cached: those 600 are cached audio, without anybody saying so."""
    found = split({"input_tokens": 1_000, "input_audio_tokens": 1_000, "cache_read_tokens": 600})
    assert found.parts == {"input_audio_tokens": 400, "cache_audio_read_tokens": 600}
    assert found.flags == Flag.NONE


def test_a_modality_larger_than_the_input_is_cut_and_flagged() -> None:
    found = split({"input_tokens": 100, "input_image_tokens": 150})
    assert (found.parts, found.flags) == ({"input_image_tokens": 100}, Flag.CLAMPED)


def test_a_missing_input_total_is_the_sum_of_its_parts() -> None:
    found = split({"input_text_tokens": 30, "input_audio_tokens": 70})
    assert (found.parts, found.input_tokens) == ({"input_tokens": 30, "input_audio_tokens": 70}, 100)


def test_parts_of_durations_and_pages_are_taken_out_of_their_whole() -> None:
    usage = {"audio_seconds": 10_000_000, "input_audio_seconds": 4_000_000}
    assert split(usage).parts == {"audio_seconds": 6_000_000, "input_audio_seconds": 4_000_000}
    assert split({"input_annotated_document_pages": 3}).parts == {"input_annotated_document_pages": 3}


def test_counts_that_are_none_are_dropped_and_flagged() -> None:
    usage = {
        "input_tokens": -1,
        "output_tokens": 2.5,
        "cache_read_tokens": 2**40 + 1,
        "requests": None,
        "web_searches": 2,
    }
    good, flags = clean(usage)
    assert good == {"web_searches": 2}
    assert flags == Flag.NEGATIVE | Flag.NOT_A_NUMBER | Flag.TOO_LARGE


@given(st.dictionaries(st.sampled_from(TOKEN_KEYS), COUNTS, max_size=12))
def test_the_cells_add_up_to_the_totals_whatever_is_reported(usage: dict[str, int]) -> None:
    """No token is counted twice or lost: cells of the input sum to the input, cells of the output to the output."""
    found = split(usage)
    assert all(quantity > 0 for quantity in found.parts.values())
    into = sum(found.parts.get(leaf, 0) for leaf in units.INPUT_LEAVES)
    out = sum(found.parts.get(leaf, 0) for leaf in units.OUTPUT_LEAVES)
    assert into == found.input_tokens
    if usage.get("input_tokens") and not found.flags & Flag.CACHE_EXCLUSIVE:
        assert into == usage["input_tokens"]
    if usage.get("output_tokens"):
        assert out == usage["output_tokens"]


@given(st.dictionaries(st.sampled_from(sorted(units.UNITS)), st.integers(-(2**70), 2**70) | st.none(), max_size=12))
def test_cleaning_and_splitting_never_raise(usage: dict[str, int | None]) -> None:
    split(clean(usage)[0])


@st.composite
def usages_of_one_shape(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Usages with the same keys, as one instrumentation sends them; some of them odd."""
    keys = draw(st.lists(st.sampled_from(sorted(units.UNITS)), min_size=1, max_size=12, unique=True))
    part = st.integers(0, 60) | st.sampled_from((0, 2**40, 2**40 + 1, -1, True, None, 2.5, "7"))
    whole = st.integers(0, 2_000) | part
    values = [whole if key in (units.INPUT, units.OUTPUT) else part for key in keys]
    return [{key: draw(value) for key, value in zip(keys, values, strict=True)} for _ in range(6)]


@settings(max_examples=400)
@given(usages_of_one_shape())
def test_what_is_worked_out_once_per_set_of_keys_equals_the_rules(usages: list[dict[str, Any]]) -> None:
    """The short way of `counted` and the rules of the split never differ, in order neither."""
    for usage in usages:
        good, flags = clean(usage)
        by_rules = split(good, flags)
        found_usage, found = counted(usage)
        assert (found_usage, found) == (good, by_rules)
        assert list(found.parts) == list(by_rules.parts)


def test_sets_of_keys_that_are_invented_do_not_pile_up() -> None:
    """Keys of no unit are split by the rules, and what is remembered of shapes is bounded."""
    for i in range(3 * MAX_PLANS):
        for _ in range(2):
            assert counted({f"no_such_unit_{i}": 1, "input_tokens": 3})[1].parts == {"input_tokens": 3}
    assert len(usage_module._seen) <= MAX_PLANS
