SELECT * FROM _ledger.amendment WHERE seq BETWEEN ? AND ?
