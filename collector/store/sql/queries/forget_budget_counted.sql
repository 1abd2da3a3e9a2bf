DELETE FROM _ledger.budget_counted
