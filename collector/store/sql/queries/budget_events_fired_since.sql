-- The same of one rule, of windows and buckets from a start on.
SELECT event.*
FROM _ledger.budget_event AS event
JOIN _ledger.budget_counted AS counted ON counted.budget = event.budget AND event.happened_at_ns >= counted.since_ns
WHERE event.event_id IS NOT NULL AND event.budget = ? AND event.window_start_ns >= ?
