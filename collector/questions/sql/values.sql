-- Values of a name, the dearest first.
SELECT
    key_0 AS value,
    CAST(sum(calls) AS BIGINT) AS calls,
    CAST(coalesce(sum(cost_usd), 0) AS DECIMAL(38, 12)) AS cost_usd
FROM facts
WHERE {search}
GROUP BY key_0
ORDER BY cost_usd DESC, calls DESC, value NULLS LAST
LIMIT $limit
