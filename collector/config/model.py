"""The whole config as one value: each part has the frozen dataclass that it is built from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from collector.budgets.actions.config import AnyChannel
from collector.budgets.model import Rule
from collector.catalogue.config import RefreshConfig
from collector.config.parts import Endpoint
from collector.forward.config import ForwardConfig
from collector.metering.config import MeteringConfig
from collector.receive.config import ReceiverConfig
from collector.receive.senders import SenderConfig
from collector.serve.api.config import ApiConfig
from collector.store.config import StoreConfig
from otel_cost.pricing.overrides import Overrides

MIB = 1024 * 1024
GRPC = ReceiverConfig("127.0.0.1", 4317)
HTTP = ReceiverConfig("127.0.0.1", 4318)
PROMETHEUS_ENDPOINT = Endpoint("127.0.0.1", 9464)
METERING = MeteringConfig()
HEALTH_CHECK_ENDPOINT = Endpoint("127.0.0.1", 13133)
STORE = StoreConfig(Path("otel-cost.duckdb"))
API_ENDPOINT = Endpoint("127.0.0.1", 8321)
API = ApiConfig(API_ENDPOINT, is_given=False)
NO_OVERRIDES = Overrides()
ANYBODY = SenderConfig()


@dataclass(frozen=True, slots=True)
class Config:
    """What `otel-cost collect` runs. None means that the part is not run."""

    grpc: ReceiverConfig | None = GRPC
    http: ReceiverConfig | None = HTTP
    senders: SenderConfig = ANYBODY
    """Who may send, and whose spans these are."""
    queue_bytes: int = 128 * MIB
    """`memory_limiter.limit_mib`: requests that wait to be committed."""
    overrides: Overrides = NO_OVERRIDES
    """What the user's own contracts say of prices."""
    estimate: bool = True
    """`processors.cost.estimate`: tokens that no provider reported are estimated from captured text."""
    refresh: RefreshConfig | None = None
    """How the rate card is kept current; None: it is not."""
    rules: tuple[Rule, ...] = ()
    channels: tuple[AnyChannel, ...] = ()
    """On which budgets tell people and programs."""
    store: StoreConfig = STORE
    forward: tuple[ForwardConfig, ...] = ()
    prometheus: Endpoint | None = PROMETHEUS_ENDPOINT
    metering: MeteringConfig = METERING
    scrapers: tuple[bytes, ...] = ()
    """SHA-256 of the tokens of those who may read metrics; without any, whoever reaches them may."""
    health_check: Endpoint | None = HEALTH_CHECK_ENDPOINT
    api: ApiConfig | None = API
    warnings: tuple[str, ...] = ()
    """Parts that are configured, valid, and without effect in this version."""

    def exposed(self) -> list[tuple[str, Endpoint]]:
        """The endpoints that other machines can reach, with the place in the config that says so."""
        endpoints = [
            ("receivers.otlp.protocols.grpc.endpoint", self._open(self.grpc)),
            ("receivers.otlp.protocols.http.endpoint", self._open(self.http)),
            ("exporters.prometheus.endpoint", None if self.scrapers else self.prometheus),
            ("extensions.health_check.endpoint", self.health_check),
            ("extensions.api.endpoint", None if self.api is None or self.api.asks_who else self.api.endpoint),
        ]
        return [(path, endpoint) for path, endpoint in endpoints if endpoint and not endpoint.is_loopback]

    def _open(self, receiver: ReceiverConfig | None) -> Endpoint | None:
        """Where a receiver takes spans of anybody."""
        return None if receiver is None or self.senders.tokens else Endpoint(receiver.host, receiver.port)
