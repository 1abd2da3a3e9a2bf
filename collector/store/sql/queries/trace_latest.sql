-- The trace of the most recent call.
SELECT trace_id FROM calls ORDER BY start_time DESC, trace_id LIMIT 1
