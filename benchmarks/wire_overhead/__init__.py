"""What watching the wire adds to an app: CPU per model call and per event of a stream.

    python -m benchmarks.wire_overhead [--json] [--rounds N]

Real clients (httpx, the OpenAI SDK, aiohttp, requests, boto3) talk over loopback to a server in a process of its own.
All subjects run in one process, in interleaved rounds (each round runs every subject once, in rotating order), so that
a busy machine hits all of them alike. CPU time of the client's thread is taken; differences are taken within a round,
medians over rounds are shown.
"""
