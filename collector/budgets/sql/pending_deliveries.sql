-- Messages that are to be sent, those that wait longest first.
SELECT * FROM _ledger.budget_delivery WHERE state = 'pending' ORDER BY next_try_at_ns
