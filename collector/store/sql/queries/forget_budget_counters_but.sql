-- Counters of all rules but these.
DELETE FROM _ledger.budget_counter WHERE NOT list_contains(?::VARCHAR[], budget)
