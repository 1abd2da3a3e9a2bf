DELETE FROM _ledger.budget_rule WHERE name = ?
