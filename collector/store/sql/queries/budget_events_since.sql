-- Events from a time on (nanoseconds), the newest first.
SELECT * FROM _ledger.budget_event
WHERE event_id IS NOT NULL AND happened_at_ns >= ?
ORDER BY happened_at_ns DESC
LIMIT ?
