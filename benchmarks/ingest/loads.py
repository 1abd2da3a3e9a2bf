"""The loads that every system gets, and how much of each: enough for a figure, and no hours for slow ones."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.ingest.plan import Plan, Protocol

GRPC_512, HTTP_512, PACED_512 = "grpc_512", "http_512", "paced_512"
GRPC_1, HTTP_1, PACED_1, IDLE_1 = "grpc_1", "http_1", "paced_1", "idle_1"
TITLES = {
    GRPC_512: "gRPC, 512 spans a request, as fast as acknowledged",
    HTTP_512: "HTTP/protobuf, 512 spans a request, as fast as acknowledged",
    PACED_512: "gRPC, 512 spans a request, 20,000 spans/s",
    GRPC_1: "gRPC, 1 span a request, as fast as acknowledged, 64 in flight",
    HTTP_1: "HTTP/protobuf, 1 span a request, as fast as acknowledged, 64 in flight",
    PACED_1: "gRPC, 1 span a request, 1,000 requests/s",
    IDLE_1: "gRPC (MLflow: HTTP), 1 span, one by one with 20 ms between",
}
PACED_SPANS_PER_SECOND = 20_000
PACED_REQUESTS_PER_SECOND = 1_000
LONGEST_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much a system gets in a round."""

    big_requests: int  # of 512 spans; enough of them that merges, checkpoints and memory have their usual share
    small_requests: int  # of one span
    paced_seconds: float  # 0: not at a fixed rate, which it cannot keep
    idle_requests: int


FULL = {
    "otel-cost": Sizes(2_400, 10_000, 10.0, 100),
    "rotel": Sizes(2_400, 20_000, 10.0, 100),
    "phoenix": Sizes(4, 200, 0.0, 20),
    "mlflow": Sizes(8, 200, 0.0, 20),
}
QUICK = {
    "otel-cost": Sizes(120, 2_000, 3.0, 30),
    "rotel": Sizes(120, 2_000, 3.0, 30),
    "phoenix": Sizes(1, 30, 0.0, 5),
    "mlflow": Sizes(2, 30, 0.0, 5),
}


def plans(sizes: Sizes, protocols: tuple[Protocol, ...]) -> dict[str, Plan]:
    """The loads of a round, by name, in order. Ports and seeds are the trial's."""
    out: dict[str, Plan] = {}
    for protocol in protocols:
        big = GRPC_512 if protocol == "grpc" else HTTP_512
        out[big] = Plan(protocol, 0, in_flight=8, requests=sizes.big_requests)
    if sizes.paced_seconds:
        rate = PACED_SPANS_PER_SECOND / 512
        requests = int(sizes.paced_seconds * rate)
        out[PACED_512] = Plan("grpc", 0, in_flight=64, requests=requests, requests_per_second=rate)
    for protocol in protocols:
        out[GRPC_1 if protocol == "grpc" else HTTP_1] = Plan(
            protocol, 0, spans_per_request=1, in_flight=64, requests=sizes.small_requests, seconds=LONGEST_SECONDS / 4
        )
    if sizes.paced_seconds:
        requests = int(sizes.paced_seconds * PACED_REQUESTS_PER_SECOND)
        out[PACED_1] = Plan(
            "grpc",
            0,
            spans_per_request=1,
            in_flight=256,
            requests=requests,
            seconds=3 * sizes.paced_seconds,
            requests_per_second=PACED_REQUESTS_PER_SECOND,
        )
    out[IDLE_1] = Plan(
        protocols[0],
        0,
        spans_per_request=1,
        connections=1,
        in_flight=1,
        requests=sizes.idle_requests,
        pause_seconds=0.02,
    )
    return out
