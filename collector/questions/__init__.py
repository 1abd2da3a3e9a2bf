"""Questions about money to the ledger: which calls, grouped how, and what they cost, as exact figures.

Everything that shows figures asks here (HTTP API, page, command line, projections), so that all of them add up to the
same. Knows neither DuckDB nor who asks: a question is a statement (`sql/*.sql`) with named parameters,
run by an `Ask`.
"""
