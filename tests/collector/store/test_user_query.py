"""A user's SQL reads the publication and can do nothing else."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from collector.store import Store, StoreConfig, manifest, sandbox
from collector.store.errors import NotPublished, QueryFailed, QueryRefused
from collector.store.user_query import UserQuery, ask
from tests.collector.store.ledger_rows import attribute, batch, call

REFUSED = [
    "SELECT 1; SELECT 2",
    "",
    "-- nothing",
    "INSERT INTO calls SELECT * FROM calls",
    "CREATE TABLE stolen AS SELECT 1",
    "CREATE TEMP TABLE stolen AS SELECT 1",
    "DROP VIEW calls",
    "COPY calls TO '{folder}/leak.csv'",
    "COPY (SELECT 1) TO '{segment}' (USE_TMP_FILE false)",
    "WITH x AS (COPY (SELECT 1) TO '{folder}/leak.csv') SELECT 1",
    "WITH x AS (COPY (SELECT 1) TO '{segment}' (USE_TMP_FILE false)) SELECT 1",
    "WITH x AS (INSERT INTO _ledger.budget (org_id, budget) VALUES ('a', 'b') RETURNING *) SELECT * FROM x",
    "WITH x AS (DELETE FROM _ledger.segment_file RETURNING *) SELECT * FROM x",
    "WITH x AS (UPDATE _ledger.segment_file SET file = 'x' RETURNING *) SELECT * FROM x",
    "SELECT * FROM (WITH x AS (INSERT INTO _ledger.budget (org_id) VALUES ('a') RETURNING *) SELECT * FROM x)",
    "EXPLAIN ANALYZE COPY calls TO '{folder}/leak.csv'",
    "EXPLAIN ANALYZE WITH x AS (COPY (SELECT 1) TO '{folder}/leak.csv') SELECT 1",
    "/* EXPLAIN SELECT 1 */ EXPLAIN ANALYZE INSERT INTO _ledger.budget (org_id) VALUES ('a')",
    "ATTACH '{folder}/other.duckdb' AS other",
    "SET enable_external_access = true",
    "RESET lock_configuration",
    "PRAGMA database_list",
    "INSTALL httpfs",
    "LOAD httpfs",
    "EXPORT DATABASE '{folder}/leak'",
    "IMPORT DATABASE '{folder}'",
    "CALL enable_logging()",
    "CHECKPOINT",
    "BEGIN",
    "USE memory",
    "PREPARE p AS SELECT 1",
    "SELECT * FROM read_text('{secret}')",
    "SELECT * FROM read_csv('{secret}')",
    "SELECT * FROM read_blob('{segment}')",
    "SELECT * FROM glob('/*')",
    "SELECT (SELECT content FROM read_text('{secret}'))",
    "SELECT * FROM calls WHERE EXISTS (FROM read_json('{secret}'))",
    "FROM query('WITH x AS (COPY (SELECT 1) TO ''{folder}/leak.csv'') SELECT 1')",
    "FROM json_execute_serialized_sql('{{}}')",
    "FROM arrow_scan(1, 2, 3)",
    "SELECT * FROM sniff_csv('{secret}')",
]
FAILED = [
    "SELECT * FROM '{secret}'",
    "FROM '{folder}/ledger.duckdb.live/ledger.duckdb'",
    "SELECT * FROM query_table('{secret}')",
    "SELECT getenv('HOME')",
    "SELECT no_such_column FROM calls",
    "SELEC 1",
]


@pytest.fixture(scope="module")
def ledger_path(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A ledger of several segments, its collector at work, and a secret file beside it."""
    path = tmp_path_factory.mktemp("ledger") / "ledger.duckdb"
    path.with_name("secret").write_text("a,b\n1,2\n")
    store = Store(StoreConfig(path))
    store.start()
    store.append(batch([call(1, number) for number in range(1, 21)]), attribute)
    store.publish()
    store.append(batch([call(2, 1)]), attribute)
    store.publish()
    yield path
    store.stop()


def written(path: Path, sql: str) -> str:
    segment = next(path.with_name(path.name + ".live").joinpath("segments").glob("*.parquet"))
    return sql.format(folder=path.parent, segment=segment, secret=path.with_name("secret"))


def files(path: Path) -> dict[str, bytes]:
    """Everything in the folder that a query could have touched."""
    live = path.with_name(path.name + ".live")
    kept = [path, *path.parent.glob("*"), *live.joinpath("segments").iterdir()]
    return {file.name: file.read_bytes() for file in kept if file.is_file()}


@pytest.mark.parametrize("sql", REFUSED)
def test_anything_but_one_reading_statement_is_refused(ledger_path: Path, sql: str) -> None:
    """Refused before it runs, and no file has changed or appeared."""
    before = files(ledger_path)
    request = {
        "path": str(ledger_path),
        "sql": written(ledger_path, sql),
        "timeout_seconds": 10,
        "memory_limit_mib": 256,
    }
    with pytest.raises(QueryRefused):
        sandbox.answer(request)
    assert files(ledger_path) == before


@pytest.mark.parametrize("sql", FAILED)
def test_wrong_queries_and_other_files_fail_with_a_reason(ledger_path: Path, sql: str) -> None:
    with pytest.raises(QueryFailed, match=r"\w+"):
        ask(ledger_path, UserQuery(written(ledger_path, sql)))


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT count(*) FROM calls",
        "WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 9) SELECT max(i) FROM n",
        "FROM agents",
        "VALUES (1)",
        "DESCRIBE calls",
        "SHOW TABLES",
        "SUMMARIZE calls",
        "EXPLAIN SELECT * FROM calls",
        "-- why is it slow?\nexplain analyze SELECT * FROM calls",
        "SELECT * FROM range(3)",
        "SELECT 1 UNION SELECT 2 ORDER BY 1",
        "SELECT 'INSERT INTO x; COPY y TO z' AS text;",
    ],
)
def test_reading_statements_of_every_form_are_answered(ledger_path: Path, sql: str) -> None:
    assert ask(ledger_path, UserQuery(sql)).table.num_rows > 0


def test_the_answer_spans_all_segments_and_says_how_fresh_it_is(ledger_path: Path) -> None:
    answer = ask(ledger_path, UserQuery("SELECT count(*) AS n FROM calls"))
    assert answer.table.to_pylist() == [{"n": 21}]
    assert (answer.spans, answer.last_seq, answer.collector_runs) == (21, 21, True)


def test_allowed_files_are_those_of_the_manifest(ledger_path: Path, tmp_path: Path) -> None:
    """Wherever they lie, as the archive may be another disk; a file beside them that nothing names is not."""
    store = Store(StoreConfig(tmp_path / "cold.duckdb"))
    store.start()
    store.append(batch([call(1, 1), call(1, 2)]), attribute)
    (old,) = store.read(lambda reader: reader.segments)
    here, cold = store.layout.segments / old.file, tmp_path / "org_id=other" / "day=2025-10-09" / "cold.parquet"
    cold.parent.mkdir(parents=True)
    shutil.copy(here, cold)
    new = replace(old, file=str(cold), cold=True)
    store._write(lambda connection: manifest.replace(connection, [old], [new]))
    store.append(batch([call(2, 1)]), attribute)
    store.stop()
    here.unlink()
    shutil.copy(cold, cold.with_name("stray.parquet"))
    path = store.layout.published
    assert ask(path, UserQuery("SELECT org_id, count(*) AS n FROM calls GROUP BY ALL")).table.to_pylist() == [
        {"org_id": "default", "n": 3}
    ]
    for file in (cold.with_name("stray.parquet"), here, cold.with_name("*.parquet")):
        with pytest.raises(QueryFailed, match=r"Permission|disabled"):
            ask(path, UserQuery(f"SELECT * FROM '{file}'"))


def test_a_refusal_comes_back_from_the_process(ledger_path: Path) -> None:
    with pytest.raises(QueryRefused, match="not COPY"):
        ask(ledger_path, UserQuery("COPY calls TO 'calls.csv'"))


def test_the_process_can_make_no_file_grow(tmp_path: Path) -> None:
    """Behind the gate stands the operating system: even code that got through could not write."""
    write = (
        "import sys; from collector.store import sandbox; sandbox._confine(512); open(sys.argv[1], 'wb', 0).write(b'x')"
    )
    done = subprocess.run(
        [sys.executable, "-c", write, str(tmp_path / "x")], capture_output=True, text=True, check=False
    )
    assert "File too large" in done.stderr
    assert (tmp_path / "x").stat().st_size == 0


def test_time_is_limited(ledger_path: Path) -> None:
    with pytest.raises(QueryFailed, match=r"stopped after 0\.5 seconds"):
        ask(ledger_path, UserQuery("SELECT count(*) FROM range(1000000000000)", timeout_seconds=0.5))


def test_memory_is_limited(ledger_path: Path) -> None:
    """And nothing is spilled to disk."""
    with pytest.raises(QueryFailed, match=r"(?i)memory"):
        ask(ledger_path, UserQuery("SELECT list(range) FROM range(100000000)", memory_limit_mib=64))


def test_a_ledger_that_does_not_exist_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(NotPublished, match="there is no ledger here"):
        ask(tmp_path / "none.duckdb", UserQuery("SELECT 1"))
