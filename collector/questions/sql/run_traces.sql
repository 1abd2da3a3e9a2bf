-- The traces of the chosen calls, the dearest first.
SELECT
    chosen.trace_id,
    epoch_ns(min(chosen.start_time)) AS first_ns,
    epoch_ns(max(chosen.end_time)) AS last_ns,
    CAST(coalesce(sum(chosen.cost_usd), 0) AS DECIMAL(38, 12)) AS cost_usd,
    count(*) AS calls,
    count(*) FILTER (WHERE chosen.cost_usd IS NULL) AS unpriced_calls,
    arg_max(chosen.failed, chosen.end_time) AS failed
FROM chosen
GROUP BY chosen.trace_id
ORDER BY cost_usd DESC, first_ns, chosen.trace_id
LIMIT $limit
