SELECT * FROM _ledger.budget_delivery WHERE id = ?
