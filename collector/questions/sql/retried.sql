-- Repeated calls per agent and model, the dearest first.
SELECT
    agent,
    model,
    count(*) AS retries,
    CAST(coalesce(sum(cost_usd), 0) AS DECIMAL(38, 12)) AS cost_usd,
    count(*) FILTER (WHERE cost_usd IS NULL) AS unpriced_calls
FROM chosen
WHERE attempt > 1
GROUP BY agent, model
ORDER BY cost_usd DESC, retries DESC, agent NULLS LAST, model NULLS LAST
LIMIT $limit
