-- The newest messages in some states, but those that nobody gets.
SELECT *
FROM _ledger.budget_delivery
WHERE channel <> '' AND list_contains(?::VARCHAR[], state)
ORDER BY created_at_ns DESC, id
LIMIT ?
