-- Repeated calls per agent and model, the dearest first.
SELECT
    key_0 AS agent,
    key_1 AS model,
    CAST(sum(retries) AS BIGINT) AS retries,
    CAST(coalesce(sum(retry_cost_usd), 0) AS DECIMAL(38, 12)) AS cost_usd,
    CAST(sum(unpriced_retries) AS BIGINT) AS unpriced_calls
FROM facts
GROUP BY key_0, key_1
HAVING sum(retries) > 0
ORDER BY cost_usd DESC, sum(retries) DESC, key_0 NULLS LAST, key_1 NULLS LAST
LIMIT $limit
