"""langsmith: the conventions' names; details are the text of a Python dict. Source: langsmith 0.15.0.

Its operation name is not to be trusted (retrievers say embeddings, prompts say chat): the span kind decides.
"""

from __future__ import annotations

from dataclasses import replace

from otel_cost import attributes as k
from otel_cost.normalise.dialects.generic import GENERIC, RULES, USAGE
from otel_cost.normalise.rules import aggregate, counts, has, ignore, inside, is_in, leaf

INPUT, OUTPUT = k.LANGSMITH_INPUT_DETAILS, k.LANGSMITH_OUTPUT_DETAILS

LANGSMITH = replace(
    GENERIC,
    name="langsmith",
    rank=7,
    scopes=("langsmith",),
    markers=(k.LANGSMITH_SPAN_KIND,),
    rules=(
        leaf(is_in(k.LANGSMITH_SPAN_KIND, "llm")),
        ignore(is_in(k.LANGSMITH_SPAN_KIND, "prompt", "retriever")),
        aggregate(has(k.LANGSMITH_SPAN_KIND)),
        *RULES,
    ),
    blobs={INPUT: "literal_object", OUTPUT: "literal_object"},
    usage={
        **USAGE,
        "cache_read_tokens": (*USAGE["cache_read_tokens"], *counts(*inside(INPUT, "cache_read"))),
        "cache_write_tokens": (*USAGE["cache_write_tokens"], *counts(*inside(INPUT, "cache_creation"))),
        "cache_write_5m_tokens": counts(*inside(INPUT, "ephemeral_5m_input_tokens")),
        "cache_write_1h_tokens": counts(*inside(INPUT, "ephemeral_1h_input_tokens")),
        "input_audio_tokens": counts(*inside(INPUT, "audio")),
        "output_audio_tokens": counts(*inside(OUTPUT, "audio")),
        "output_reasoning_tokens": (*USAGE["output_reasoning_tokens"], *counts(*inside(OUTPUT, "reasoning"))),
    },
)
