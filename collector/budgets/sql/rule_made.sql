-- Who made a rule, and when.
SELECT created_at_ns, created_by FROM _ledger.budget_rule WHERE name = ?
