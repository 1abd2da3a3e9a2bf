"""Compiles a rate card from price catalogues.

`python -m collector.catalogue.build` reads the copies of genai-prices' and LiteLLM's price files in this folder and
`corrections.json`, and writes `otel_cost/pricing/data/`. Same inputs, same bytes.
"""
