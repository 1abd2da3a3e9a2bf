SELECT * FROM _ledger.budget_event WHERE event_id IN (SELECT unnest(?))
