"""A body of any length passes through httpx in the same memory, observed or not."""

from __future__ import annotations

import subprocess
import sys

import pytest

BODY_BYTES = 200_000_000
MAX_GROWTH_BYTES = 40_000_000

APP = """
import resource, socket, sys, threading
import {library}
from otel_cost.instrument import httpx_hook, stats

path, size = sys.argv[1], int(sys.argv[2])
choice = b'{{"index":0,"delta":{{"content":"' + b"word " * 800 + b'"}}}}'
event = b'data: {{"id":"a","model":"gpt-4o-mini","choices":[' + choice + b"]}}\\n\\n"
piece = event * 16
piece = b"%x\\r\\n%b\\r\\n" % (len(piece), piece)
head = b"HTTP/1.1 200 OK\\r\\nconnection: close\\r\\ntransfer-encoding: chunked\\r\\n"
head += b"content-type: text/event-stream\\r\\n\\r\\n"

def serve(listening):
    while True:
        connection, _ = listening.accept()
        asked = b""
        while b'"stream":' not in asked:
            asked += connection.recv(65536)
        connection.sendall(head)
        for _ in range((1_000_000 if b"warm" in asked else size) // len(piece)):
            connection.sendall(piece)
        connection.sendall(b"0\\r\\n\\r\\n")
        connection.close()

def read(client, note):
    body = {{"model": "gpt-4o-mini", "messages": [], "stream": True}}
    got = 0
    with client.stream("POST", url, json=body, headers={{"x-note": note}}) as response:
        for chunk in response.iter_bytes():
            got += len(chunk)
    return got

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)

httpx_hook.instrument()
listening = socket.create_server(("127.0.0.1", 0))
threading.Thread(target=serve, args=(listening,), daemon=True).start()
url = f"http://127.0.0.1:{{listening.getsockname()[1]}}{{path}}"
with {library}.Client(timeout=60) as client:
    read(client, "warm")
    before = peak()
    got = read(client, "long")
print(got, peak() - before, sum(count for name, count in stats().items() if name.startswith("exchanges.")))
"""


@pytest.mark.parametrize(("path", "observed"), [("/v1/chat/completions", 2), ("/files/movie", 0)])
@pytest.mark.parametrize("library", ["httpx", "httpx2"])
def test_a_long_stream_takes_no_memory(library: str, path: str, observed: int) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", APP.format(library=library), path, str(BODY_BYTES)],
        capture_output=True,
        text=True,
        timeout=100,
        check=True,
    )
    got_bytes, grown_bytes, exchanges = map(int, ran.stdout.split())
    assert got_bytes > 0.98 * BODY_BYTES
    assert exchanges == observed
    assert grown_bytes < MAX_GROWTH_BYTES
