-- Traces whose id begins with $prefix; the most recent first.
SELECT trace_id, max(start_time) AS last_start
FROM spans
WHERE starts_with(trace_id, $prefix)
GROUP BY trace_id
ORDER BY last_start DESC, trace_id
LIMIT $limit
