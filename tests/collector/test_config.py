"""The config file: the grammar, and how its mistakes are told."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from collector.budgets.model import SCOPES, Action, Rule, Unit, Unpriced, Window, WindowKind
from collector.budgets.windows import DAY_NS
from collector.config import Config, ConfigError, load, read
from collector.serve.api.config import ApiToken, Role

ROOT = Path(__file__).parent.parent.parent
TESTDATA = ROOT / "tests" / "testdata" / "config"
FILE = "otel-collector-config.yaml"


def problems(text: str, **environment: str) -> list[str]:
    """The problems of a file, without the file's name."""
    with pytest.raises(ConfigError) as raised:
        read(text, FILE, environment)
    prefix = f"{FILE}: "
    assert all(line.startswith(prefix) for line in raised.value.problems)
    return [line.removeprefix(prefix) for line in raised.value.problems]


def test_no_file_is_the_defaults() -> None:
    """Everything works without a config file: loopback only, no budgets, no forwarding."""
    config = load(None)
    assert config == Config()
    assert config.exposed() == []
    assert config.forward == ()


@pytest.mark.parametrize("text", ["", "# only a comment\n", "receivers: {otlp: }\n", "exporters:\n", "{}"])
def test_an_empty_file_is_the_defaults(text: str) -> None:
    """Sections that say nothing change nothing."""
    assert read(text, FILE, {}) == Config()


def test_the_annotated_file_shows_the_defaults() -> None:
    """`otel-collector-config.yaml` in the repository is what runs without any file."""
    assert load(ROOT / FILE, {}) == Config()


def test_five_mistakes_are_reported_at_once_with_place_and_nearest_spelling() -> None:
    """Each mistake has one line that says where, what, and what was probably meant."""
    with pytest.raises(ConfigError) as raised:
        load(TESTDATA / "five_mistakes.yaml", {})
    found = [line.removeprefix(f"{TESTDATA / 'five_mistakes.yaml'}: ") for line in raised.value.problems]
    assert found == [
        "receivers.otlp.protocols.grpc.endpont: unknown key; "
        'allowed: tls, endpoint, max_recv_msg_size_mib; did you mean "endpoint"?',
        "processors.memory_limiter.limit_mib: must be a whole number (got lots)",
        "processors.budget.rules[1].scope: unknown scope (got agnet); "
        f'allowed: {", ".join(SCOPES)}, ingest_token, attribute.KEY; did you mean "agent"?',
        "processors.budget.rules[2].limit: must be 0 or more (got -5 USD/month)",
        'service.pipelines.traces.exporters: "otlp/jager" is not defined under exporters; did you mean "otlp/jaeger"?',
    ]
    assert str(raised.value).count("\n") == 4


def test_a_file_with_every_key_is_read_in_its_units() -> None:
    """Sizes become bytes, durations seconds, URLs complete, environment variables text."""
    config = load(TESTDATA / "everything.yaml", {"TOKEN": 's3cret: {"a": [1]} # no comment'})
    assert config.grpc is not None
    assert (config.grpc.host, config.grpc.port) == ("::1", 14317)
    assert config.grpc.max_request_bytes == 8 * 1024 * 1024
    assert config.grpc.tls is not None
    assert config.queue_bytes == 64 * 1024 * 1024
    assert config.store.publish_interval_seconds == 90
    assert [exporter.name for exporter in config.forward] == ["otlp/jaeger", "otlphttp/backend", "otlphttp/exact"]
    jaeger, backend, exact = config.forward
    assert jaeger.endpoint == "localhost:14317"
    assert jaeger.headers == (("authorization", 'Bearer s3cret: {"a": [1]} # no comment'), ("price", "$5"))
    assert jaeger.retry.max_elapsed_seconds == 0
    assert not jaeger.drop_oldest
    assert backend.endpoint == "https://otlp.example.com/base/v1/traces"
    assert exact.endpoint == "http://127.0.0.1:9999/api/otlp"
    assert [(rule.limit, rule.unit, rule.window.kind) for rule in config.rules] == [
        (500 * 10**12, Unit.USD, WindowKind.MONTH),
        (5 * 10**11, Unit.USD, WindowKind.ROLLING),
        (2_000_000, Unit.TOKENS, WindowKind.DAY),
        (0, Unit.USD, WindowKind.MONTH),
    ]
    assert config.rules[1].window.rolling_ns == 7 * DAY_NS
    assert config.rules[1].scope == (("agent", "vision_analysis_v3"), ("customer", None))
    assert config.rules[0].warn_at_ppm == (500_000, 800_000)
    assert config.rules[2] == Rule(
        name="tokens",
        scope=(("team", None), ("feature", None)),
        limit=2_000_000,
        unit=Unit.TOKENS,
        window=Window(WindowKind.DAY, time_zone="Europe/Berlin"),
        on_warn=(Action.WEBHOOK, Action.SLACK, Action.EMAIL),
        on_exceed=(Action.CHEAPER_MODEL, Action.THROTTLE, Action.BLOCK),
        unpriced=Unpriced.REFUSE,
        from_ns=1_764_572_400 * 10**9,
        is_closed_when_unreachable=True,
        cheaper={"gpt-4o": "gpt-4o-mini"},
        throttle_seconds=5.0,
        organization="acme",
        max_raise=500_000,
    )
    assert config.rules[3].window == Window(WindowKind.MONTH, billing_day=31, week_start=6)
    assert config.rules[3].limit == 0


def test_the_api_answers_whom_its_tokens_name() -> None:
    """Without tokens it answers whoever reaches it, so another address than loopback counts as exposed."""
    config = load(TESTDATA / "everything.yaml", {"TOKEN": "t"})
    assert config.api is not None
    assert config.api.tokens[0] == ApiToken("ops", "t0123456789abcdef", Role.ADMIN)
    assert config.exposed() == []
    bare = read("extensions: {api: {endpoint: '0.0.0.0:8321'}}", FILE, {})
    assert [path for path, _ in bare.exposed()] == ["extensions.api.endpoint"]
    assert problems("extensions: {api: {tokens: [{name: a, token: short}]}}") == [
        "extensions.api.tokens[0].token: must have at least 16 characters (got ...)"
    ]


def test_rules_that_decide_where_nobody_can_ask_are_said() -> None:
    """Guards ask the API; rules that only tell need none."""
    blocks = "processors: {budget: {rules: [{name: a, scope: run, limit: 1 USD/run, on_exceed: block}]}}"
    (warning,) = read(f"{blocks}\nservice: {{extensions: [health_check]}}", FILE, {}).warnings
    assert warning.startswith("processors.budget.rules: rules that decide on calls need extensions.api")
    assert read(blocks, FILE, {}).warnings == ()
    assert read(blocks.replace("block}", "notify}"), FILE, {}).warnings == ()
    assert load(ROOT / FILE, {}).warnings == ()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: [1\n", "line 2: not valid YAML: expected ',' or ']', but got '<stream end>'"),
        ("a: b\n\tc: d\n", "line 2: not valid YAML: found character '\\t' that cannot start any token"),
        (
            "exporters:\n  duckdb: {}\n  duckdb: {}\n",
            'line 3: duplicate key "duckdb" (first on line 2)',
        ),
        ("- a\n", "line 1: the file must be a mapping with receivers, processors, exporters, extensions, service"),
        ("? [a]\n: b\n", "line 1: a key must be a word"),
        ("a: !!python/object/apply:os.system [ls]\n", "a: unknown key; allowed: receivers, processors, exporters, "),
        ("a: &x\n  b: *x\n", "line 1: not valid YAML: too large or too deeply nested"),
    ],
)
def test_broken_yaml_is_reported_with_its_line(text: str, expected: str) -> None:
    """A file that is no YAML, or says something twice, is refused with the line."""
    assert any(line.startswith(expected) for line in problems(text)), problems(text)


def test_aliases_that_unfold_for_ever_are_refused() -> None:
    """A few lines of aliases cannot fill the memory."""
    rows = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    rows += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    assert problems("\n".join(rows))[0].endswith("not valid YAML: too large or too deeply nested")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "recievers: {}",
            "recievers: unknown key; allowed: receivers, processors, exporters, extensions, service; "
            'did you mean "receivers"?',
        ),
        ("receivers: {otlp: {protocols: {}}}", "receivers.otlp.protocols: must have grpc, http or both"),
        ("receivers: {zipkin: {}}", "receivers.zipkin: unknown component type (got zipkin); allowed: otlp"),
        ("receivers: {otlp: 5}", "receivers.otlp: must be a mapping of keys to values (got 5)"),
        ("receivers: {otlp/two: {}}", "receivers.otlp/two: only one otlp is possible here; call it otlp"),
        (
            "exporters: {otlq/x: {endpoint: 'a:1'}}",
            "exporters.otlq/x: unknown component type (got otlq); "
            'allowed: duckdb, otlp, otlphttp, prometheus; did you mean "otlp"?',
        ),
        ("exporters: {otlp/x: {}}", "exporters.otlp/x.endpoint: is required"),
        ("exporters: {otlphttp/x: {}}", "exporters.otlphttp/x.endpoint: is required"),
        (
            "exporters: {otlphttp/x: {endpoint: 'localhost:4318'}}",
            "exporters.otlphttp/x.endpoint: must be a URL such as http://localhost:4318 (got localhost:4318)",
        ),
        (
            "exporters: {otlp/x: {endpoint: 'localhost'}}",
            "exporters.otlp/x.endpoint: must be host:port with a port "
            "between 0 and 65535, for example 127.0.0.1:4317 (got localhost)",
        ),
        (
            "exporters: {otlp/x: {endpoint: 'a:1', tls: {cert_file: a.crt}}}",
            "exporters.otlp/x.tls: cert_file and key_file go together: give both or neither",
        ),
        (
            "exporters: {otlp/x: {endpoint: 'a:1', timeout: soon}}",
            "exporters.otlp/x.timeout: must be a duration such as 500ms, 5s, 1h30m or 7d (got soon)",
        ),
        (
            "exporters: {otlp/x: {endpoint: 'a:1', timeout: 0s}}",
            "exporters.otlp/x.timeout: must be between 50ms and 5m (got 0s)",
        ),
        (
            "exporters: {otlp/x: {endpoint: 'a:1', headers: {a b: c}}}",
            "exporters.otlp/x.headers: not a header name (got a b)",
        ),
        (
            "exporters: {prometheus: {endpoint: 127.0.0.1:99999}}",
            "exporters.prometheus.endpoint: must be host:port "
            "with a port between 0 and 65535, for example 127.0.0.1:4317 (got 127.0.0.1:99999)",
        ),
        ("exporters: {duckdb: {path: 5}}", "exporters.duckdb.path: must be text; put it in quotes (got 5)"),
        (
            "processors: {memory_limiter: {limit_mib: 0}}",
            "processors.memory_limiter.limit_mib: must be between 1 and 1048576 (got 0)",
        ),
        (
            "processors: {memory_limiter: {limit_mib: 4}}",
            "processors.memory_limiter.limit_mib: must be at least the "
            "largest request of the receivers, 20 MiB (got 4)",
        ),
        (
            "processors: {cost: {currency: EUR}}",
            "processors.cost.currency: unknown key; "
            "allowed: estimate, refresh, providers, discounts, prices, aliases, plans, gpus, router_fees",
        ),
        (
            "service: {pipelines: {traces: {exporters: [prometheus]}}}",
            "service.pipelines.traces.exporters: must "
            "contain duckdb: a span is acknowledged when it is in the ledger (got [prometheus])",
        ),
        (
            "service: {pipelines: {traces: {processors: [memory_limiter]}}}",
            "service.pipelines.traces.processors: must "
            "contain cost: the ledger keeps priced spans only (got [memory_limiter])",
        ),
        (
            "service: {pipelines: {traces: {processors: [budget, cost]}}}",
            "service.pipelines.traces.processors: the order is memory_limiter, cost, budget (got [budget, cost])",
        ),
        (
            "service: {pipelines: {metrics: {receivers: [otlp]}}}",
            'service.pipelines.metrics: unknown key; allowed: traces; did you mean "traces"?',
        ),
        (
            "service: {extensions: health_check}",
            "service.extensions: must be a list of component names (got health_check)",
        ),
        (
            "service: {extensions: [health_chek]}",
            'service.extensions: "health_chek" is not defined under extensions; did you mean "health_check"?',
        ),
        (
            "service: {extensions: [health_check, health_check]}",
            "service.extensions: names a component twice (got health_check)",
        ),
    ],
)
def test_a_mistake_is_told_with_its_place_and_what_is_allowed(text: str, expected: str) -> None:
    """One mistake, one line."""
    assert problems(text) == [expected]


def test_an_environment_variable_cannot_add_to_the_file() -> None:
    """Whatever a variable holds stays one value."""
    text = 'exporters: {duckdb: {path: "${env:LEDGER}"}}'
    injected = "x.duckdb}, otlp/evil: {endpoint: 'evil:1'"
    config = read(text, FILE, {"LEDGER": injected})
    assert config.store.path == Path(injected)
    assert config.forward == ()
    lines = read(text, FILE, {"LEDGER": "a\nreceivers: {}"})
    assert lines.store.path == Path("a\nreceivers: {}")


def test_an_environment_variable_is_a_number_where_one_is_wanted() -> None:
    """`${env:NAME}` may stand for numbers and words alike; a header that looks like a number stays text."""
    text = """
processors: {memory_limiter: {limit_mib: "${env:LIMIT}"}}
exporters:
  otlp/x: {endpoint: "${TARGET:-localhost:1}", tls: {insecure: "${env:INSECURE}"}, headers: {key: "${env:KEY}"}}
"""
    config = read(text, FILE, {"LIMIT": "128", "INSECURE": "true", "KEY": "0123"})
    assert config.queue_bytes == 128 * 1024 * 1024
    assert config.forward[0].endpoint == "localhost:1"
    assert config.forward[0].tls.insecure
    assert config.forward[0].headers == (("key", "0123"),)


def test_a_variable_that_is_not_set_is_a_mistake_unless_it_has_a_default() -> None:
    """A secret that is missing is found at start, not by the first refused request."""
    text = "exporters:\n  duckdb: {path: '${env:LEDGER}'}\n  otlp/x: {endpoint: '${file:x}'}"
    found = problems(text)
    assert "line 2: environment variable LEDGER is not set; give a default: ${env:LEDGER:-value}" in found
    assert "line 3: ${file:x} is not understood; allowed: ${env:NAME}, ${env:NAME:-default}" in found


def test_a_header_value_is_not_repeated_in_messages() -> None:
    """Secrets stay out of error messages."""
    found = problems('exporters: {otlp/x: {endpoint: "a:1", headers: {authorization: "line\\nsecret"}}}')
    assert "secret" not in "".join(found)
    assert len(found) == 1


def test_components_that_no_pipeline_names_do_not_run() -> None:
    """As in the OpenTelemetry Collector: defined is not used."""
    text = (
        "exporters: {otlp/x: {endpoint: 'a:1'}}\nservice: {extensions: [], pipelines: {traces: {exporters: [duckdb]}}}"
    )
    config = read(text, FILE, {})
    assert config.forward == ()
    assert config.prometheus is None
    assert config.health_check is None


def test_without_a_service_section_every_defined_component_runs() -> None:
    """A file that only adds a target need not repeat the pipeline."""
    config = read("exporters: {otlp/x: {endpoint: 'a:1'}}", FILE, {})
    assert [exporter.name for exporter in config.forward] == ["otlp/x"]
    assert config.prometheus is not None


def test_a_receiver_has_the_protocols_that_it_names() -> None:
    """`protocols` with grpc only listens on gRPC only."""
    config = read("receivers: {otlp: {protocols: {grpc: }}}", FILE, {})
    assert config.grpc is not None
    assert config.http is None


@pytest.mark.parametrize(
    ("address", "exposed"),
    [("127.0.0.1", False), ("127.8.8.8", False), ("localhost", False), ("[::1]", False),
     ("0.0.0.0", True), ("", True), ("[::]", True), ("10.0.0.5", True), ("collector.example", True)],
)  # fmt: skip
def test_addresses_that_others_can_reach_are_known(address: str, exposed: bool) -> None:
    """Only loopback counts as private; a name other than localhost counts as reachable."""
    config = read(f"receivers: {{otlp: {{protocols: {{grpc: {{endpoint: '{address}:4317'}}}}}}}}", FILE, {})
    assert [path for path, _ in config.exposed()] == ["receivers.otlp.protocols.grpc.endpoint"] * exposed


def test_a_file_that_cannot_be_read_is_one_problem(tmp_path: Path) -> None:
    """A missing file, a folder and a binary file are told by name."""
    binary = tmp_path / "binary.yaml"
    binary.write_bytes(b"\xff\xfe\x00")
    for path, reason in (
        (tmp_path / "absent.yaml", "No such file or directory"),
        (tmp_path, "Is a directory"),
        (binary, "is not UTF-8 text"),
    ):
        with pytest.raises(ConfigError, match=re.escape(f"{path}: cannot be read: {reason}")):
            load(path)
