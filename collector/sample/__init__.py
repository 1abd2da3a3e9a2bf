"""Made-up history for trying things out: spans of a small company's services, as their SDKs would have sent them.

Pure: from a plan (days, calls a day, seed) to OTLP requests in the order of time. The same plan gives the same bytes.
What an app is never seen to do is not here either: no prices, no verdicts; those are the pipeline's.
"""
