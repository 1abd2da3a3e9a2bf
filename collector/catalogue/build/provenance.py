"""The page that ships beside the card: where its figures come from."""

from __future__ import annotations

import json

from collector.catalogue.build import corrections
from collector.catalogue.build.model import Rounding

_LICENCES = """\
The catalogues are published under the MIT licence:

> genai-prices: Copyright (c) Pydantic Services Inc. 2025 to present
>
> LiteLLM: Copyright (c) 2023 Berri AI
>
> tokencost: Copyright (c) 2023 AgentOps
>
> Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated
> documentation files (the "Software"), to deal in the Software without restriction, including without limitation the
> rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit
> persons to whom the Software is furnished to do so, subject to the following conditions:
>
> The above copyright notice and this permission notice shall be included in all copies or substantial portions of the
> Software.
>
> THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE
> WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR
> COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR
> OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
"""


def provenance_page(files: dict[str, str], sources: dict[str, str], rounding: Rounding, added: int) -> str:
    """PROVENANCE.md: sources and versions, licences, how to rebuild, corrections, rounded rates."""
    digest = json.loads(files["index.json"])["digest"]
    lines = [
        "# Where the rates come from",
        "",
        f"Card `{digest[:12]}` (sha256 over all provider files: `{digest}`). Written by",
        "`python -m collector.catalogue.build`; do not edit by hand.",
        "",
        f"* genai-prices {sources['genai-prices']}, https://github.com/pydantic/genai-prices: names, dates, tiers,",
        "  rates.",
        f"* LiteLLM {sources['litellm']}, https://github.com/BerriAI/litellm,",
        f"  `model_prices_and_context_window_backup.json` (sha256 `{sources['litellm price file sha256']}`):",
        f"  {added} models that genai-prices does not know. Its prices have no dates.",
        "* The same file as tokencost 0.1.26 carried it in September 2025 (https://github.com/AgentOps-AI/tokencost),",
        "  for models that LiteLLM has dropped since.",
        "* `collector/catalogue/build/corrections.json`: wrong or missing rows, each with its source (below).",
        "",
        "To rebuild: `python -m collector.catalogue.build`. To take the installed genai-prices and another version of",
        "LiteLLM's file: `pip download --no-deps litellm==VERSION`, then",
        "`python -m collector.catalogue.build.renew WHEEL`.",
        "",
        "## Licences",
        "",
        _LICENCES,
        "## Corrections",
        "",
        "| provider | model | why | source |",
        "| --- | --- | --- | --- |",
    ]
    lines += [
        f"| {c['provider']} | {c.get('model') or '`' + c['models'] + '`'} | {c['why']} | {c['source']} |"
        for c in corrections.load()
    ]
    lines += [
        "",
        "## Rounded rates",
        "",
        "Rates that are no whole number of pico-USD, mostly float noise of their source, rounded half-even:",
        "",
        "| model | unit | pico-USD as published | rate |",
        "| --- | --- | --- | --- |",
    ]
    lines += [f"| {where} | {unit} | {exact} | {rate} |" for where, unit, exact, rate in sorted(set(rounding.entries))]
    return "\n".join(lines) + "\n"
