"""Unchanged apps, each run as a process of its own. Each prints the ids of the responses that it got, one a line."""
