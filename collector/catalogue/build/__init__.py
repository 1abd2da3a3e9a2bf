"""Compiles a rate card from price catalogues.

`python -m collector.catalogue.build` reads the installed genai-prices package (a development dependency), the pruned
copy of LiteLLM's price file in this folder and `corrections.json`, and writes `otel_cost/pricing/data/`. Same inputs,
same bytes.
"""
