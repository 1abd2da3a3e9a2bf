-- Events from a time on (nanoseconds), of one organisation or (NULL) all, the newest first.
SELECT * FROM _ledger.budget_event
WHERE event_id IS NOT NULL AND happened_at_ns >= ? AND (?::VARCHAR IS NULL OR org_id = ?)
ORDER BY happened_at_ns DESC
LIMIT ?
