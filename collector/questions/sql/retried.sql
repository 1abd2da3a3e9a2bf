-- Repeated calls per agent and model, the dearest first.
SELECT
    key_0 AS agent,
    key_1 AS model,
    CAST(sum(retries) AS BIGINT) AS retries,
    CAST(coalesce(sum(retry_cost_usd), 0) AS DECIMAL(38, 12)) AS cost_usd,
    CAST(coalesce(sum(unpriced_calls), 0) AS BIGINT) AS unpriced_calls
FROM facts
WHERE retries > 0
GROUP BY key_0, key_1
ORDER BY cost_usd DESC, retries DESC, key_0 NULLS LAST, key_1 NULLS LAST
LIMIT $limit
