-- How the cost of each of $runs divides among its agents. Filled in as report_groups is.
SELECT
    calls.run AS value,
    calls.agent,
    coalesce(sum(calls.cost_usd), 0) AS cost_usd,
    count(*) FILTER (WHERE calls.cost_usd IS NULL) AS unpriced_calls
FROM {calls} AS calls
{spans}
WHERE calls.start_time >= CAST($since AS TIMESTAMP_NS)
    AND calls.start_time < CAST($until AS TIMESTAMP_NS)
    AND list_contains($runs, calls.run)
    AND {where}
GROUP BY calls.run, calls.agent
ORDER BY calls.run, cost_usd DESC, calls.agent NULLS LAST
