"""Which instrumentations there are, where they are installed, and how the app is started under them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

HERE = Path(__file__).parent
SDKS = ("openai", "anthropic", "google-genai")
NATIVE_OFF = MappingProxyType({"ANTHROPIC_OPEN_TELEMETRY": "false"})
OFFICIAL_OFF = MappingProxyType({"OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "openai,anthropic"})
"""Names of the official instrumentations where these tests run."""


@dataclass(frozen=True, slots=True)
class Column:
    """An instrumentation, or two at once. `place`: the requirements of its environment; None: where the tests run."""

    name: str
    title: str
    place: str | None
    environment: Mapping[str, str] = field(default_factory=dict)  # variables of the app
    sdks: tuple[str, ...] = SDKS
    arguments: tuple[str, ...] = ()  # what the app's driver is told
    places: Mapping[str, str] = field(default_factory=dict)  # where an SDK needs another place

    def place_of(self, sdk: str) -> str | None:
        """The name of the environment in which it runs with that SDK."""
        return self.places.get(sdk, self.place)


COLUMNS = (
    Column("none", "none", None, {**NATIVE_OFF, **OFFICIAL_OFF}),
    Column("native", "Anthropic native", None, OFFICIAL_OFF, ("anthropic",)),
    Column("official", "official", None, places={"google-genai": "official"}),
    Column("openinference", "OpenInference", "openinference"),
    Column("openllmetry", "OpenLLMetry", "openllmetry"),
    Column("openlit", "OpenLIT", "openlit", arguments=("openlit",)),
    Column("official_openinference", "official + OpenInference", "official_openinference"),
    Column("official_openllmetry", "official + OpenLLMetry", "official_openllmetry"),
)


@dataclass(frozen=True, slots=True, order=True)
class App:
    """One process: an SDK's app under an instrumentation, with otel-cost or without."""

    column: str
    sdk: str
    with_otel_cost: bool

    @property
    def service(self) -> str:
        """Its name in the ledger."""
        return f"{self.column}/{self.sdk}/{'with' if self.with_otel_cost else 'without'}"


def apps(with_otel_cost: bool, columns: tuple[Column, ...] = COLUMNS) -> tuple[App, ...]:
    """All of the matrix."""
    return tuple(App(column.name, sdk, with_otel_cost) for column in columns for sdk in column.sdks)


def column_named(name: str) -> Column:
    """The column of that name."""
    return next(column for column in COLUMNS if column.name == name)


def requirements(place: str) -> Path:
    """What an environment has."""
    return HERE / "requirements" / f"{place}.txt"
