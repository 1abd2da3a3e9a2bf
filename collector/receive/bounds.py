"""Bounds of the transports alone, with their units; those of what they carry stand in `collector.limits`."""

from __future__ import annotations

MAX_HEAD_BYTES = 16 * 1024
"""Names and values of one HTTP request's headers. Clients send 200 to 500 bytes; nginx takes 32 KiB, Node 16 KiB, gRPC
8 KiB. Too low: long bearer tokens are refused. Too high: every connection may hold this much before it is known."""

MAX_TARGET_BYTES = 2 * 1024
"""What an HTTP request asks for; OTLP's longest path has 11 bytes."""

MAX_PIPELINED = 16
"""Requests of one HTTP connection that may wait for their answers; no more is read from it until some have theirs."""

MAX_CONNECTIONS = 8_192
"""Open connections of one receiver, or a third of the file descriptors that the process may have, if that is less: the
rest is for the ledger. Too low: many idle apps shut others out. An idle HTTP connection takes about 5 KB."""

RESERVED_DESCRIPTORS = 64
"""Of those that the process may have; HTTP connections that would take one of them are closed at once. A read of the
ledger opens its files of spans together, and DuckDB ends the process when it is started with none left. Too low: a
flood of connections holds up what is published. Too high: a process that may have few takes no connection."""

MAX_STREAMS_PER_CONNECTION = 256
"""Requests that one gRPC connection may have under way; its client queues the rest. The library collects the bodies of
all of them, up to `MAX_REQUEST_BYTES` each, before this program sees one."""

MAX_BODY_SECONDS = 120.0
"""From the head of an HTTP request to the end of its body. Exporters give a request 10 s in all, so a body that takes
longer has no one waiting for its answer, but it still holds a place. 20 MiB in this time are 1.4 Mbit/s."""

IDLE_SECONDS = 75.0
"""An HTTP connection may be without a request so long. Longer than the 60 s after which load balancers let go of
theirs, so that none sends on a connection that is just being closed; exporters send every 5 s."""

HANDSHAKE_SECONDS = 10.0
"""For the TLS handshake. Senders that say nothing must not hold a connection longer than others may be silent."""

ACCEPT_PAUSE_SECONDS = 0.1
"""After a connection that could not be accepted, mostly because no file descriptor was free."""

UNREAD_SECONDS = 20.0
"""An answer that its client does not read blocks its connection; after so long the connection is cut."""

CLOSE_SECONDS = 1.0
"""When stopping, how long bodies may go on arriving; and after a last answer, how long its reader gets to take it. A
peer that left without a word never does."""

SWEEP_SECONDS = 0.5
"""How often HTTP connections are looked at for any of these; so much later than said may each of them come."""

PING_SECONDS = 120
"""A gRPC connection that says nothing for so long is asked whether it still lives, and cut when it does not answer
within `UNREAD_SECONDS`."""
