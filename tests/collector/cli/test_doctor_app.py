"""`otel-cost doctor app`: real apps, run as they are, against recorded answers."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from collector.config import Config
from examples.replay import ReplayServer, load_exchange

EXCHANGES = Path(__file__).parents[3] / "examples" / "demo" / "exchanges"

APP = """
import sys
import openai
client = openai.OpenAI(max_retries=0)
print("the app's own output")
client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "hi"}])
client.chat.completions.create(model="made-up-model-9", messages=[{"role": "user", "content": "hi"}])
sys.exit(3)
"""


@pytest.fixture(scope="module")
def provider() -> Iterator[ReplayServer]:
    known = load_exchange(EXCHANGES / "openai" / "chat_cache_read_4o.json")
    unknown = load_exchange(EXCHANGES / "openai" / "chat_reasoning_gpt5nano.json")
    chunks = tuple(chunk.replace(b"gpt-5-nano-2025-08-07", b"made-up-model-9") for chunk in unknown.chunks)
    with ReplayServer([known, replace(unknown, model="made-up-model-9", chunks=chunks)], fresh_ids=True) as server:
        yield server


def doctor(provider: ReplayServer, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "OPENAI_BASE_URL": f"{provider.url}/v1", "OPENAI_API_KEY": "none", **more}
    return subprocess.run(
        [sys.executable, "-m", "collector", "doctor", "app", *arguments],
        env=env,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def test_each_call_is_reported_and_the_unpriced_one_has_a_remedy(provider: ReplayServer, tmp_path: Path) -> None:
    """Also where the app ends right after its calls, with an exit code of its own."""
    app = tmp_path / "app.py"
    app.write_text(APP)
    done = doctor(provider, "--json", "--", sys.executable, str(app))
    found: dict[str, Any] = json.loads(done.stdout)
    assert done.returncode == 1
    assert found["exit_code_of_app"] == 3
    assert "the app's own output" in done.stderr
    rows = {row["model"]: row for row in found["calls"]}
    assert {model: (row["calls"], row["cost_status"]) for model, row in rows.items()} == {
        "gpt-4o": (1, "priced"),
        "made-up-model-9": (1, "unpriced"),
    }
    assert rows["gpt-4o"]["has_usage"]
    (wrong,) = [finding for finding in found["findings"] if finding["is_wrong"]]
    assert "made-up-model-9" in wrong["what"]
    assert [process["libraries"].keys() >= {"openai"} for process in found["processes"]] == [True]


def test_the_apps_other_start_up_module_still_runs(provider: ReplayServer, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("import os; os.environ['SAID'] = 'here'")
    program = "import os; print(os.environ.get('SAID'))"
    done = doctor(provider, "--", sys.executable, "-c", program, PYTHONPATH=str(tmp_path))
    assert done.stdout.splitlines()[0] == "here"
    assert "no model call" in done.stdout


def test_a_command_that_cannot_be_run_is_said(provider: ReplayServer) -> None:
    done = doctor(provider, "--", "no-such-program")
    assert (done.returncode, done.stderr.splitlines()[0][:25]) == (2, "cannot run no-such-program"[:25])


def test_nothing_is_said_of_the_port_that_a_running_collector_has(provider: ReplayServer) -> None:
    usual = Config().api
    assert usual is not None
    with socket.socket() as taken:
        with suppress(OSError):  # then another one has it
            taken.bind((usual.endpoint.host, usual.endpoint.port))
            taken.listen()
        done = doctor(provider, "--", sys.executable, "-c", "")
    assert done.stderr == ""


def test_an_app_that_is_started_by_opentelemetry_instrument_reports_itself(
    provider: ReplayServer, tmp_path: Path
) -> None:
    """Whose own start-up module hides ours."""
    app = tmp_path / "app.py"
    app.write_text(APP.replace("sys.exit(3)", ""))
    started = "opentelemetry.instrumentation.auto_instrumentation"
    start = f"import sys; sys.argv[0] = 'otel'; from {started} import run; run()"
    done = doctor(provider, "--json", "--", sys.executable, "-c", start, sys.executable, str(app))
    found: dict[str, Any] = json.loads(done.stdout)
    assert [row["calls"] for row in found["calls"]] == [1, 1]
    assert {process["command"].split()[-1] for process in found["processes"] if process["libraries"]} == {str(app)}
    assert [finding["what"] for finding in found["findings"] if "process" in finding["what"]] == []


@pytest.mark.parametrize(
    ("set_up", "said"),
    [
        ("", "to make no model call"),
        (
            "from opentelemetry import trace; from opentelemetry.sdk.trace import TracerProvider\n"
            "trace._TRACER_PROVIDER = TracerProvider()",
            "did not call otel_cost.install()",
        ),
    ],
)
def test_an_app_that_called_nothing_is_told_what_is_in_the_way(
    provider: ReplayServer, tmp_path: Path, set_up: str, said: str
) -> None:
    app = tmp_path / "app.py"
    app.write_text(set_up)
    done = doctor(provider, "--", sys.executable, str(app))
    assert done.returncode == 1
    assert said in done.stdout
    assert "in no process" not in done.stdout


def test_ctrl_c_ends_the_app_and_then_the_report_comes(provider: ReplayServer, tmp_path: Path) -> None:
    app = tmp_path / "app.py"
    app.write_text(APP.replace("sys.exit(3)", "print('waiting', flush=True); import time; time.sleep(60)"))
    env = {**os.environ, "OPENAI_BASE_URL": f"{provider.url}/v1", "OPENAI_API_KEY": "none", "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        [sys.executable, "-m", "collector", "doctor", "app", "--", sys.executable, str(app)],
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        while "waiting" not in process.stdout.readline():
            assert process.poll() is None
        os.killpg(process.pid, signal.SIGINT)
        said = process.stdout.read()
    assert "otel-cost saw 2 model calls" in said
