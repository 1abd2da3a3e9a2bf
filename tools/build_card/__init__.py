"""Compiles the shipped rate card from price catalogues. Not part of the wheel.

`python -m tools.build_card` reads the installed genai-prices package (a development dependency), the pruned copy of
LiteLLM's price file in this folder and `corrections.json`, and writes `otel_cost/pricing/data/`. Same inputs, same
bytes.
"""
