"""otel-cost, the half that runs inside the app: ended GenAI span in, priced GenAI span out.

Nothing here is heavy: only `processor`, `context` and `distro` touch OpenTelemetry, and `normalise`, `usage` and
`pricing` are pure. Public names resolve lazily, so that `import otel_cost` costs next to nothing.
"""

__version__ = "0.1.0"
