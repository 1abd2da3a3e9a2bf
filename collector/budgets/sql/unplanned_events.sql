-- The oldest events that the outbox has no row for.
SELECT *
FROM _ledger.budget_event AS event
WHERE event_id IS NOT NULL
    AND NOT EXISTS (SELECT 1 FROM _ledger.budget_delivery AS delivery WHERE delivery.event_id = event.event_id)
ORDER BY happened_at_ns
LIMIT ?
