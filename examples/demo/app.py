"""The demo app: a planner, a writer and a critic that prepare one design note together.

It knows nothing of collectors or prices. Spans, export and cost come from environment variables alone
(`opentelemetry-instrument python app.py`); the only thing it says is who is at work: the run, the agent, the customer.
"""

from __future__ import annotations

import os

import anthropic
import openai
from opentelemetry import trace

from otel_cost.context import agent, run, tags

GUIDE = "Design guide. " + "Prefer small services with clear owners and one store each. " * 40
QUESTION = "How should I structure my database schema?"

tracer = trace.get_tracer("demo.pipeline")


def plan(client: openai.OpenAI) -> str:
    """Look the question up and outline an answer. The provider has most of the prompt in its cache."""
    with agent("planner"), tracer.start_as_current_span("planner"):
        client.embeddings.create(model="text-embedding-3-small", input=[QUESTION], encoding_format="float")
        answer = client.chat.completions.create(
            model="gpt-4o",
            max_tokens=100,
            messages=[{"role": "system", "content": GUIDE}, {"role": "user", "content": QUESTION}],
        )
        return answer.choices[0].message.content or ""


def write(client: anthropic.Anthropic, outline: str) -> str:
    """Draft twice, the second time with the guide read from the provider's cache; then stream the final text."""
    system: list[anthropic.types.TextBlockParam] = [
        {"type": "text", "text": GUIDE, "cache_control": {"type": "ephemeral"}}
    ]
    with agent("writer"), tracer.start_as_current_span("writer"):
        text = outline
        for _ in range(2):
            draft = client.messages.create(
                model="claude-haiku-4-5-20251001",
                max_tokens=100,
                system=system,
                messages=[{"role": "user", "content": text}],
            )
            text = "".join(block.text for block in draft.content if block.type == "text")
        with client.messages.stream(
            model="claude-sonnet-4-6", max_tokens=200, messages=[{"role": "user", "content": text}]
        ) as stream:
            return "".join(stream.text_stream)


def criticise(client: openai.OpenAI, text: str) -> str:
    """Review the text. The provider fails once; this agent has its own way to try again."""
    with agent("critic"), tracer.start_as_current_span("critic"):
        for attempts_left in (1, 0):
            try:
                answer = client.with_options(max_retries=0).chat.completions.create(
                    model="gpt-5-nano", messages=[{"role": "user", "content": f"Review this text: {text}"}]
                )
                return answer.choices[0].message.content or ""
            except openai.InternalServerError:
                if not attempts_left:
                    raise
        return ""


def main() -> None:
    """Prepare one note."""
    with (
        run(os.environ.get("DEMO_RUN", "design-note-1")),
        tags(customer="acme", feature="design-notes", team="docs"),
        tracer.start_as_current_span("design note"),
    ):
        criticise(openai.OpenAI(), write(anthropic.Anthropic(), plan(openai.OpenAI())))


if __name__ == "__main__":
    main()
