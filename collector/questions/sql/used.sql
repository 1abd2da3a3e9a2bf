-- Priced calls per bucket, key and model, of the $limit keys that cost most; all NULL is a key too.
WITH cells AS MATERIALIZED (
    SELECT
        bucket,
        {key} AS value,
        {model} AS model,
        CAST(sum(calls - unpriced_calls) AS BIGINT) AS calls,
        CAST(sum(coalesce(input_tokens, 0) + coalesce(output_tokens, 0)) FILTER (WHERE unpriced_calls < calls) AS BIGINT) AS tokens,
        CAST(sum(cost_usd) AS DECIMAL(38, 12)) AS cost_usd
    FROM facts
    GROUP BY ALL
    HAVING sum(calls - unpriced_calls) > 0
),
largest AS (
    SELECT value
    FROM cells
    GROUP BY value
    ORDER BY sum(cost_usd) DESC, value NULLS LAST
    LIMIT $limit
)
SELECT cells.*
FROM cells
JOIN largest ON largest.value IS NOT DISTINCT FROM cells.value
ORDER BY ALL
