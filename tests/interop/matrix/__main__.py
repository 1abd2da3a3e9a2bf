"""Run the matrix and print its table.

python -m tests.interop.matrix [--write-docs] [--column NAME] [--sdk NAME] [--keep FOLDER] [--explain]
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from tests.interop.matrix import table, verdict
from tests.interop.matrix.columns import apps
from tests.interop.matrix.invoice import SCENARIOS
from tests.interop.matrix.run import Cell, Outcome, run


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description="Every instrumentation x scenario x SDK, without us and with us.")
    parser.add_argument("--write-docs", action="store_true", help="put the table into docs/instrumentation.md")
    parser.add_argument("--column", action="append", help="only these instrumentations")
    parser.add_argument("--sdk", action="append", help="only these SDKs")
    parser.add_argument("--keep", type=Path, help="keep the ledger in this folder")
    parser.add_argument("--without", action="store_true", help="show what the ledger has without us, too")
    options = parser.parse_args()
    chosen = [
        app
        for app in (*apps(False), *apps(True))
        if (not options.column or app.column in options.column) and (not options.sdk or app.sdk in options.sdk)
    ]
    if options.keep:
        options.keep.mkdir(parents=True)
        outcomes = run(chosen, options.keep)
    else:
        with tempfile.TemporaryDirectory() as folder:
            outcomes = run(chosen, Path(folder))
    for cell, outcome in outcomes.items():
        _explain(cell, outcome, options.without)
    if options.write_docs:
        table.write(outcomes)


def _explain(cell: Cell, outcome: Outcome, without: bool) -> None:
    app, name, client = cell
    scenario = next(each for each in SCENARIOS[app.sdk] if each.name == name)
    title = f"{app.service} {name} {client}"
    if not app.with_otel_cost:
        if without:
            print(f"{title}: {verdict.without_otel_cost(scenario, outcome)}")
        return
    problems = verdict.with_otel_cost(scenario, outcome)
    print(f"{title}: {'; '.join(problems) or verdict.RIGHT}")
    if problems:
        for seen in outcome.seen:
            print("   ledger:", {key: value for key, value in seen.row.items() if value is not None})
        for span in outcome.exported:
            print("   exported:", span["name"], span["context"]["span_id"], span["attributes"])


if __name__ == "__main__":
    main()
