SELECT count(DISTINCT (org_id, budget, scope_value, window_start_ns)) FROM _ledger.budget_counter
