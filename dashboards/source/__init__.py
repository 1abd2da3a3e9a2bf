"""Grafana dashboards and alert rules as code. `python -m dashboards.source` writes them beside; a test compares."""
