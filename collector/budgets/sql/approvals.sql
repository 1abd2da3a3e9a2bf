SELECT * FROM _ledger.budget_approval ORDER BY asked_at_ns
