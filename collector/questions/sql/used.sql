-- Priced calls per bucket and model: of all, and of each value of some names (`place` 0, 1, ...; -1: of all). Of each
-- name, the $limit values that cost most; NULL is a value too.
WITH cells AS MATERIALIZED (
    SELECT
        bucket,
        {model} AS model,
        {place} AS place,
        {value} AS value,
        CAST(sum(calls - unpriced_calls) AS BIGINT) AS calls,
        CAST(sum(coalesce(input_tokens, 0) + coalesce(output_tokens, 0)) FILTER (WHERE unpriced_calls < calls) AS BIGINT) AS tokens,
        CAST(sum(cost_usd) AS DECIMAL(38, 12)) AS cost_usd
    FROM facts
    GROUP BY GROUPING SETS ({sets})
    HAVING sum(calls - unpriced_calls) > 0
),
largest AS (
    SELECT place, value
    FROM cells
    GROUP BY place, value
    QUALIFY row_number() OVER (PARTITION BY place ORDER BY sum(cost_usd) DESC, value NULLS LAST) <= $limit
)
SELECT cells.*
FROM cells
JOIN largest ON largest.place = cells.place AND largest.value IS NOT DISTINCT FROM cells.value
ORDER BY ALL
