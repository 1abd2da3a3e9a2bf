SELECT * FROM _ledger.budget_counted
