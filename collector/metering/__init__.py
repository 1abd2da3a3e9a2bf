"""What calls cost, as metrics: counters that move with the ledger's commits, and gauges that are read from it.

Prometheus keeps numbers as floats and samples of them, so this is for graphs and alerts; the ledger has the exact
figures. Nothing here holds up a commit: it hands over references to its columns, and a thread of its own adds them up.
"""
