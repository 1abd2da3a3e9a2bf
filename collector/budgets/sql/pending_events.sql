-- The events that they are of.
SELECT *
FROM _ledger.budget_event
WHERE event_id IN (SELECT event_id FROM _ledger.budget_delivery WHERE state = 'pending')
