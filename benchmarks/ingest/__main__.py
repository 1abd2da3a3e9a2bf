"""What it costs to receive a span, and what is left of it after a kill: this collector beside its peers, in one run.

    python -m benchmarks.ingest [--rounds N] [--quick] [--only NAME,...] [--json]

Systems take turns: each round starts every one afresh and sends it the same loads, so that a busy machine hits all
alike. Peers are installed from the package index on first use, into environments of their own, and run without a
network.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import shutil
import socket
import struct
import subprocess
import sys
from collections.abc import Sequence

from benchmarks.ingest import loads, processes, report, tables
from benchmarks.ingest.environments import NotInstallableError
from benchmarks.ingest.systems import SYSTEMS
from benchmarks.ingest.targets import targets
from benchmarks.ingest.trials import Trial, lost_after_kill, say

KILL_TRIALS = 3
INSIDE = "OTEL_COST_BENCH_OFFLINE"


def _arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ingest", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5, help="how often each system gets each load (default 5)")
    parser.add_argument("--quick", action="store_true", help="one short round and one kill: to see that it works")
    parser.add_argument("--only", default="", help=f"these systems, of {', '.join(SYSTEMS)}")
    parser.add_argument("--loads", default="", help=f"these loads, of {', '.join(loads.TITLES)}")
    parser.add_argument("--no-kills", action="store_true", help="without the kill -9 trials")
    parser.add_argument("--online", action="store_true", help="leave the network as it is")
    parser.add_argument("--markdown", action="store_true", help="tables for a page")
    parser.add_argument("--json", action="store_true", help="every figure of every round, on stdout")
    said = parser.parse_args(arguments)
    for option, known in (("only", SYSTEMS), ("loads", loads.TITLES)):
        chosen = [name for name in getattr(said, option).split(",") if name]
        if unknown := set(chosen) - set(known):
            parser.error(f"--{option}: {', '.join(sorted(unknown))} unknown; known: {', '.join(known)}")
        setattr(said, option, chosen or list(known))
    return said


def leave_network(arguments: Sequence[str]) -> None:
    """Start again in a network namespace with nothing but loopback; returns where that is not allowed."""
    unshare = shutil.which("unshare")
    if unshare is None or subprocess.run([unshare, "-rn", "true"], capture_output=True, check=False).returncode:
        say("no network namespace here: peers only get a proxy that refuses")
        return
    os.execvpe(
        unshare, [unshare, "-rn", sys.executable, "-m", "benchmarks.ingest", *arguments], os.environ | {INSIDE: "1"}
    )


def raise_loopback() -> None:
    """A new network namespace has its loopback down."""
    siocgifflags, siocsifflags, iff_up = 0x8913, 0x8914, 1
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        request = struct.pack("16sh14x", b"lo", 0)
        flags = struct.unpack("16sh14x", fcntl.ioctl(control, siocgifflags, request))[1]
        fcntl.ioctl(control, siocsifflags, struct.pack("16sh14x", b"lo", flags | iff_up))


def measure(said: argparse.Namespace) -> report.Results:
    """All rounds, then the kills."""
    results = report.Results({}, {}, INSIDE in os.environ, said.quick)
    for name in said.only:
        try:
            results.versions[name] = SYSTEMS[name].prepare()
        except NotInstallableError as error:
            results.skipped[name] = str(error)
            say(f"skipped: {name}: {error}")
    rounds = 1 if said.quick else said.rounds
    for number in range(1, rounds + 1):
        for name in results.versions:
            say(f"round {number} of {rounds}: {name}")
            results.rounds.setdefault(name, []).append(_round(name, said))
    if not said.no_kills:
        for number in range(1, (1 if said.quick else KILL_TRIALS) + 1):
            for name in results.versions:
                results.kills.setdefault(name, []).append(lost_after_kill(SYSTEMS[name]))
                say(f"kill {number}: {name}: {results.kills[name][-1][1]:,} spans lost")
    return results


def _round(name: str, said: argparse.Namespace) -> report.Round:
    sizes = (loads.QUICK if said.quick else loads.FULL)[name]
    costs = {}
    with Trial(SYSTEMS[name]) as trial:
        for load, plan in loads.plans(sizes, trial.protocols()).items():
            if load in said.loads:
                cost = costs[load] = trial.load(plan)
                say(
                    f"  {load}: {cost.cpu_us_per_span:,.1f} us/span, {cost.load.spans_per_second:,.0f} spans/s, "
                    f"ack p50 {cost.load.latency.p50_ms} p99 {cost.load.latency.p99_ms} ms"
                    + (f", {cost.missing_spans:,} missing" if cost.missing_spans else "")
                    + (f", {cost.load.failed} failed: {cost.load.error}" if cost.load.failed else "")
                )
        return report.Round(costs, trial.footprint())


def main(arguments: Sequence[str] | None = None) -> int:
    """See the module. 1: a target was missed."""
    said = _arguments(arguments)
    if INSIDE in os.environ:
        raise_loopback()
    elif not said.online:
        for name in said.only:  # while there is a network
            try:
                SYSTEMS[name].prepare()
            except NotInstallableError:
                continue
        leave_network(list(sys.argv[1:] if arguments is None else arguments))
    processes.clean_up_when_told_to_end()
    results = measure(said)
    found = targets(results)
    if said.json:
        print(json.dumps(report.as_json(results) | {"targets": [one.to_json() for one in found]}, indent=1))
    else:
        print(tables.text(results, tables.markdown if said.markdown else tables.plain))
    return 0 if said.quick or all(one.held is not False for one in found) else 1


if __name__ == "__main__":
    sys.exit(main())
