"""The systems under test: how each is started, and how many spans it holds."""

from __future__ import annotations

import re
import sqlite3
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import duckdb

from benchmarks.ingest.sink import Sink
from benchmarks.ingest.system import System


class OtelCost(System):
    """This repository's collector: durable before the acknowledgement, priced, attributed, queryable."""

    name = "otel-cost"
    title = "otel-cost"

    @property
    def published(self) -> Path:
        """The file that anybody may query."""
        return self.folder / "otel-cost.duckdb"

    def command(self) -> list[str]:
        """See System."""
        config = self.folder / "collector.yaml"
        config.write_text(
            f"""
receivers:
  otlp:
    protocols:
      grpc: {{endpoint: "127.0.0.1:{self.grpc_port}"}}
      http: {{endpoint: "127.0.0.1:{self.http_port}"}}
exporters:
  duckdb: {{path: "{self.published}"}}
  prometheus: {{endpoint: "127.0.0.1:{self.other_port}"}}
extensions:
  health_check: {{endpoint: "127.0.0.1:{self.more_port}"}}
"""
        )
        return [str(Path(sys.executable).with_name("otel-cost")), "collect", "--config", str(config)]

    def stored(self) -> int | None:
        """See System."""
        rows = self.query("SELECT spans FROM publication")
        return int(rows[0][0]) if rows else 0

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Rows from the published file; none while it is not there yet."""
        for _ in range(20):  # the file may be replaced between finding and opening it
            try:
                with duckdb.connect(str(self.published), read_only=True, config={"threads": 1}) as connection:
                    return list(connection.execute(sql).fetchall())
            except duckdb.IOException:
                if not self.published.exists():
                    return []
        raise RuntimeError("the published file cannot be opened")

    def files(self) -> list[Path]:
        """Without segments that the published views no longer read: they are kept a while for old readers."""
        views = " ".join(str(row[0]) for row in self.query("SELECT sql FROM duckdb_views()"))
        named = set(re.findall(r"([^'/]+\.parquet)", views))
        return [
            path
            for path in super().files()
            if path.name != "collector.yaml" and (path.suffix != ".parquet" or not named or path.name in named)
        ]

    def all_disk_bytes(self) -> int:
        """Everything it has on disk, old segments included."""
        return sum(path.stat().st_size for path in super().files() if path.exists())


class Rotel(System):
    """A collector in Rust. It receives and drops; with a sink, it receives and passes on. It keeps nothing."""

    name = "rotel"
    title = "rotel (receives and drops)"
    requirement = "rotel==0.0.1a15"

    def __init__(self, folder: Path, sink: Sink | None = None) -> None:
        super().__init__(folder)
        self._sink = sink

    def command(self) -> list[str]:
        """See System."""
        agent = next(self.bin().parent.glob("lib/python*/site-packages/rotel/rotel-agent"))
        exporter = ["--exporter", "blackhole"]
        if self._sink is not None:
            url = f"http://127.0.0.1:{self._sink.port}"
            exporter = ["--exporter", "otlp", "--otlp-exporter-protocol", "http", "--otlp-exporter-endpoint", url]
        return [
            str(agent),
            "start",
            *("--otlp-grpc-endpoint", f"127.0.0.1:{self.grpc_port}"),
            *("--otlp-http-endpoint", f"127.0.0.1:{self.http_port}"),
            *("--pid-file", str(self.folder / "rotel.pid"), "--log-file", str(self.folder / "rotel.log")),
            *exporter,
        ]

    def stored(self) -> int | None:
        """What its sink has received."""
        return None if self._sink is None else self._sink.spans

    def files(self) -> list[Path]:
        """See System."""
        return []


class _Sqlite(System):
    """A system that keeps spans in SQLite."""

    database: ClassVar[str]

    def stored(self) -> int | None:
        """See System."""
        path = self.folder / self.database
        if not path.exists():
            return 0
        connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10)
        try:
            return int(connection.execute("SELECT count(*) FROM spans").fetchone()[0])
        except sqlite3.OperationalError:  # no table yet, or locked
            return 0
        finally:
            connection.close()


class Phoenix(_Sqlite):
    """Arize Phoenix on SQLite. It acknowledges before it stores."""

    name = "phoenix"
    title = "Arize Phoenix"
    requirement = "arize-phoenix==20.26.1"
    health = "/healthz"
    database = "phoenix.db"

    def command(self) -> list[str]:
        """See System."""
        return [str(self.bin() / "phoenix"), "serve"]

    def variables(self) -> dict[str, str]:
        """See System."""
        return {
            "PHOENIX_WORKING_DIR": str(self.folder),
            "PHOENIX_HOST": "127.0.0.1",
            "PHOENIX_PORT": str(self.http_port),
            "PHOENIX_GRPC_PORT": str(self.grpc_port),
            "PHOENIX_TELEMETRY_ENABLED": "false",
            "PHOENIX_ALLOW_EXTERNAL_RESOURCES": "false",
        }


class Mlflow(_Sqlite):
    """MLflow's tracking server on SQLite, one worker (four cost the same per span and more memory). OTLP/HTTP only."""

    name = "mlflow"
    title = "MLflow"
    requirement = "mlflow==3.17.2"
    grpc = False
    headers: ClassVar[Mapping[str, str]] = {"x-mlflow-experiment-id": "0"}
    health = "/health"
    database = "mlflow.db"

    def command(self) -> list[str]:
        """See System."""
        store = f"sqlite:///{self.folder / self.database}"
        where = ["--host", "127.0.0.1", "--port", str(self.http_port), "--workers", "1"]
        return [str(self.bin() / "mlflow"), "server", *where, "--backend-store-uri", store]

    def variables(self) -> dict[str, str]:
        """Its price catalogue is fetched over the network: empty means the one that it ships."""
        return {"MLFLOW_MODEL_CATALOG_URI": "", "MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}


SYSTEMS: dict[str, type[System]] = {one.name: one for one in (OtelCost, Rotel, Phoenix, Mlflow)}
