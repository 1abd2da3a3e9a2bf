"""A user's SQL of one organisation: its rows are what they are in the ledger, and nothing of another's can be told."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from collector.store import Store, StoreConfig, sandbox
from collector.store.errors import QueryFailed, QueryRefused
from collector.store.user_query import UserQuery, ask
from collector.store.views import NAMES
from tests.collector.store.ledger_rows import attribute, batch, call, span

SECRET = "globex-secret"
OWN, OTHER = "ac'me", "globex"
WITHOUT_ORG = {"price_runs", "prices", "publication"}

REFUSED = [
    "SELECT * FROM main.calls",
    "SELECT * FROM memory.main.calls",
    "SELECT * FROM _ledger.span_log",
    "SELECT * FROM span_log",
    "SELECT * FROM information_schema.tables",
    "SELECT * FROM information_schema.columns",
    "SELECT * FROM pg_catalog.pg_class",
    "SELECT * FROM duckdb_views",
    "SELECT * FROM duckdb_views()",
    "SELECT * FROM duckdb_tables()",
    "SELECT * FROM duckdb_columns()",
    "SELECT * FROM duckdb_databases()",
    "SELECT * FROM duckdb_settings()",
    "SELECT * FROM duckdb_functions()",
    "SELECT * FROM sqlite_master",
    "SELECT * FROM pragma_table_info('calls')",
    "SELECT * FROM pragma_database_list",
    "SELECT * FROM pragma_show('calls')",
    "SELECT * FROM read_parquet('{segment}')",
    "SELECT * FROM parquet_scan(['{segment}'])",
    "SELECT * FROM parquet_metadata('{segment}')",
    "SELECT * FROM '{segment}'",
    'SELECT * FROM "{segment}"',
    "SELECT * FROM query_table('calls')",
    "SELECT * FROM query('SELECT * FROM calls')",
    "FROM query_table(['_ledger.span_log'])",
    "SELECT * FROM summary(TABLE calls)",
    "SELECT getvariable('files')",
    "SELECT current_setting('allowed_paths')",
    "SELECT current_database()",
    "SELECT stats(agent) FROM calls",
    "SELECT json_serialize_plan('SELECT * FROM calls')",
    "SELECT pg_get_viewdef(1)",
    "SELECT x.pg_get_viewdef() FROM (SELECT 1 AS x)",
    "SELECT write_log('x')",
    "SELECT sleep_ms(10000)",
    "SELECT list_transform([1], lambda x: current_setting('allowed_paths'))",
    "SELECT count(*) FILTER (WHERE current_setting('threads') > 1) FROM calls",
    "SELECT agent FROM calls ORDER BY getvariable('x')",
    "SELECT agent FROM calls LIMIT (SELECT count(*) FROM main.calls)",
    "SELECT stats(agent) OVER () FROM calls",
    "SHOW TABLES",
    "SHOW ALL TABLES",
    "SHOW DATABASES",
    "SHOW TABLES FROM main",
    "FROM (SHOW TABLES)",
    "EXPLAIN SELECT * FROM calls",
    "EXPLAIN ANALYZE SELECT * FROM calls",
    "DESCRIBE main.calls",
    "SUMMARIZE _ledger.span_log",
    "SELECT * FROM (WITH duckdb_views AS (SELECT 1) SELECT 1), duckdb_views",
    "SELECT * FROM (WITH \"{segment}\" AS (SELECT 1) SELECT 1), '{segment}'",
    "SELECT * FROM (WITH \"a.parquet\" AS (SELECT 1) SELECT 1), 'a.parquet'",
    "WITH calls AS (SELECT * FROM main.calls) SELECT * FROM calls",
    "WITH x AS MATERIALIZED (FROM main.calls) SELECT 1",
    "WITH RECURSIVE x AS (SELECT 1 AS n UNION ALL SELECT n FROM main.calls, x) SELECT * FROM x",
    "SELECT (SELECT max(agent) FROM main.calls)",
    "SELECT 1 WHERE EXISTS (FROM main.calls)",
    "SELECT 1 IN (SELECT seq FROM main.calls)",
    "SELECT * FROM calls JOIN main.agents USING (agent)",
    "SELECT * FROM calls, LATERAL (SELECT * FROM main.agents)",
    "SELECT * FROM calls UNION ALL SELECT * FROM main.calls",
    "SELECT * FROM calls INTERSECT SELECT * FROM main.calls",
    "SELECT * FROM (PIVOT main.calls ON agent IN ('x') USING sum(cost_usd))",
    "SELECT * FROM (UNPIVOT main.calls ON agent)",
    "VALUES ((SELECT count(*) FROM main.calls))",
    "ATTACH '{folder}/ledger.duckdb' AS x",
    "USE memory",
    "PRAGMA database_list",
    "CREATE MACRO x() AS 1",
    "SELECT 1; SELECT 2",
    "COPY calls TO '{folder}/leak.csv'",
]
"""Each names something that is not one of the views, or asks the system about itself."""

ANSWERED = [
    "SELECT agent, sum(cost_usd) FROM calls GROUP BY agent ORDER BY ALL",
    "SELECT c.agent, s.name FROM calls c JOIN spans s ON s.seq = c.seq",
    "WITH x AS (SELECT * FROM calls) SELECT count(*) FROM x JOIN agents USING (agent)",
    "WITH RECURSIVE x AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM x WHERE n < 5) SELECT * FROM x",
    "SELECT agent, rank() OVER (PARTITION BY provider ORDER BY cost_usd DESC) FROM calls",
    "SELECT json_extract_string(attributes, '$.\"app.tenant\"') FROM spans",
    "SELECT * FROM calls WHERE start_time >= CAST(current_date - 30 AS TIMESTAMP_NS) OR true",
    "SELECT *, (SELECT count(*) FROM attempts a WHERE a.trace_id = c.trace_id) FROM calls c",
    "SELECT * FROM (PIVOT calls ON agent IN ('1') USING sum(cost_usd))",
    "SELECT list_transform([1, 2], lambda x: x + 1), unnest([1, 2]), case when true then 1 end, coalesce(NULL, 1)",
    "SELECT * FROM range(3), json_each('[1]')",
    "SELECT agent FROM calls TABLESAMPLE 10 ROWS",
    "DESCRIBE calls",
    "SUMMARIZE SELECT agent FROM calls",
    "FROM calls SELECT upper(agent), agent LIKE '%x%', agent || '!', round(1.0 * input_tokens / output_tokens)",
    "SELECT date_trunc('day', start_time), quantile_cont(cost_usd, 0.9), count(DISTINCT run) FROM calls GROUP BY 1",
    "SELECT COLUMNS('cost.*') FROM calls",
    "SELECT published_at FROM publication",
]

PROBES = [
    "SELECT count(*) FROM calls WHERE CAST(agent AS INTEGER) >= 0",
    "SELECT count(*) FROM calls WHERE CAST(CAST(agent AS VARCHAR) || '0' AS INTEGER) >= 0 AND org_id <> 'x'",
    "SELECT count(*) FROM calls WHERE CAST(if(agent = 'globex-secret', 'x', '1') AS INTEGER) > 0",
    "SELECT count(*) FROM spans WHERE CAST(json_extract_string(attributes, '$.n') AS INTEGER) >= 0",
    "SELECT sum(CAST(agent AS INTEGER)) FROM agents",
    "SELECT count(*) FROM (SELECT agent FROM calls GROUP BY agent HAVING CAST(agent AS INTEGER) >= 0)",
    "SELECT count(*) FROM agents WHERE CAST(agent AS INTEGER) >= 0",
    "SELECT count(*) FROM calls c JOIN range(3) r(n) ON CAST(c.agent AS INTEGER) = r.n",
    "SELECT count(*) FROM calls WHERE agent IN (SELECT CAST(CAST(agent AS INTEGER) AS VARCHAR) FROM attempts)",
    "SELECT count(*) FROM calls WHERE EXISTS (FROM spans WHERE CAST(spans.agent AS INTEGER) = 1)",
    "WITH x AS MATERIALIZED (SELECT * FROM calls) SELECT count(*) FROM x WHERE CAST(agent AS INTEGER) >= 0",
    "WITH x AS NOT MATERIALIZED (SELECT * FROM calls) SELECT count(*) FROM x WHERE CAST(agent AS INTEGER) >= 0",
    "SELECT max(CAST(agent AS INTEGER)) FILTER (WHERE cost_usd > 0) FROM calls",
    "SELECT CAST(agent AS INTEGER) FROM calls ORDER BY CAST(agent AS INTEGER) LIMIT 1",
    "SELECT count(*) FROM calls WHERE regexp_matches('x', if(agent = 'globex-secret', '(', 'x'))",
    "SELECT count(*) FROM calls_as_billed WHERE CAST(agent AS INTEGER) >= 0",
    "SELECT count(*) FROM unpriced WHERE CAST(model AS INTEGER) >= 0",
]
"""Each fails on a row of the other organisation, and on none of its own."""


@pytest.fixture(scope="module")
def ledger_path(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Two organisations whose spans share segments; what the other one says is a secret, or no number."""
    path = tmp_path_factory.mktemp("scoped") / "ledger.duckdb"
    own: dict[str, Any] = {"org_id": OWN, "agent": "1", "attributes": '{"n":"1"}'}
    other: dict[str, Any] = {
        "org_id": OTHER,
        "agent": SECRET,
        "name": SECRET,
        "customer": SECRET,
        "attributes": f'{{"n":"{SECRET}"}}',
    }
    store = Store(StoreConfig(path))
    store.start()
    for trace in (1, 3):
        rows = [call(trace, number, **(own if number % 2 else other)) for number in range(1, 41)]
        rows += [span(trace, 100, **other), span(trace, 101, **own)]
        unpriced: dict[str, Any] = {"cost_pico_usd": None, "cost_status": "unpriced", "cost_reason": "?"}
        rows += [call(trace, 102, **{**own, **unpriced, "model": "7"})]
        rows += [call(trace, 103, **{**other, **unpriced, "model": SECRET})]
        store.append(batch(rows), attribute)
        store.publish()
    yield path
    store.stop()


def answer(path: Path, sql: str, org: str | None = OWN) -> Any:
    """In this process: what keeps organisations apart does not depend on the other one's walls."""
    segment = next(path.with_name(path.name + ".live").joinpath("segments").glob("*.parquet"))
    request = {"path": str(path), "sql": re.sub("{segment}", str(segment), sql).replace("{folder}", str(path.parent))}
    return sandbox.answer({**request, "timeout_seconds": 30, "memory_limit_mib": 512, "org": org})


@pytest.fixture(scope="module")
def whole(ledger_path: Path) -> Iterator[Any]:
    """The same file, with everybody's rows."""
    with duckdb.connect(str(ledger_path), read_only=True) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        yield connection


@pytest.mark.parametrize("sql", REFUSED)
def test_nothing_but_the_views_can_be_named(ledger_path: Path, sql: str) -> None:
    with pytest.raises((QueryRefused, QueryFailed)) as refused:
        answer(ledger_path, sql)
    assert SECRET not in str(refused.value)
    if "{segment}" not in sql:
        assert ".live" not in str(refused.value)


@pytest.mark.parametrize("sql", ANSWERED)
def test_reading_statements_of_every_form_are_answered_without_others(ledger_path: Path, sql: str) -> None:
    assert SECRET not in str(answer(ledger_path, sql).to_pylist())


@pytest.mark.parametrize("sql", PROBES)
def test_no_predicate_is_evaluated_on_rows_of_others(ledger_path: Path, whole: Any, sql: str) -> None:
    """Each would fail there, and by failing tell what is there: with the whole ledger it does."""
    assert answer(ledger_path, sql).num_rows >= 1
    with pytest.raises(duckdb.Error):
        whole.execute(sql).fetchall()


@pytest.mark.parametrize("view", [name for name in NAMES if name not in WITHOUT_ORG])
def test_each_view_has_the_rows_of_the_organisation_and_no_others(ledger_path: Path, whole: Any, view: str) -> None:
    own = answer(ledger_path, f"SELECT * FROM {view} ORDER BY ALL").to_pylist()
    quoted = OWN.replace("'", "''")
    same = whole.sql(f"SELECT * FROM {view} WHERE org_id = '{quoted}' ORDER BY ALL").to_arrow_table()
    assert own == same.to_pylist()
    assert SECRET not in str(own)


@pytest.mark.parametrize("view", sorted(WITHOUT_ORG))
def test_views_of_the_whole_ledger_tell_nothing_of_others(ledger_path: Path, view: str) -> None:
    shown = answer(ledger_path, f"SELECT * FROM {view}")
    assert SECRET not in str(shown.to_pylist())
    assert not set(shown.column_names) & {"spans", "segments", "segment_bytes", "expired_cost_usd", "missing_spans"}


def test_an_organisation_without_spans_sees_none(ledger_path: Path) -> None:
    assert answer(ledger_path, "SELECT count(*) AS n FROM spans", org="nobody").to_pylist() == [{"n": 0}]
    assert answer(ledger_path, "SELECT count(*) AS n FROM spans", org="").to_pylist() == [{"n": 0}]


def test_the_process_is_told_whose_rows_it_may_show(ledger_path: Path) -> None:
    found = ask(ledger_path, UserQuery("SELECT DISTINCT org_id FROM spans", org=OTHER))
    assert found.table.to_pylist() == [{"org_id": OTHER}]
