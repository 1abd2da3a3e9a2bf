DELETE FROM _ledger.budget_approval WHERE ticket = ?
