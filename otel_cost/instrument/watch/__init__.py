"""A folder for PYTHONPATH: what `otel-cost doctor app` has every Python process of the app run first."""
