"""Questions about money that is already in the ledger: pure functions over what queries return. No I/O in here."""
