SELECT count(*) FROM _ledger.budget_counter
