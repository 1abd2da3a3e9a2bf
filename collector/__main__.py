"""`python -m collector` is `otel-cost`."""

from collector.cli import main

if __name__ == "__main__":
    main()
