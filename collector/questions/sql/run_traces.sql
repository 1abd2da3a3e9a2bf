-- The traces of the chosen calls, the first ones first.
SELECT trace_id
FROM chosen
GROUP BY trace_id
ORDER BY min(start_time), trace_id
LIMIT $limit
