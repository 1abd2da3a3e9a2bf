-- Priced calls per bucket, key, model and rate, for the $limit keys that cost most; `costs` is what decides.
WITH priced AS NOT MATERIALIZED (
    SELECT
        bucket,
        {key} AS value,
        model,
        concat(rate_row, ' ', card) AS rate,
        cost_usd,
        coalesce(input_tokens, 0) + coalesce(output_tokens, 0) AS tokens
    FROM chosen
    WHERE cost_usd IS NOT NULL
),
cells AS MATERIALIZED (
    SELECT
        bucket,
        value,
        model,
        rate,
        CAST(count(*) AS BIGINT) AS calls,
        CAST(sum(tokens) AS BIGINT) AS tokens,
        CAST(sum(cost_usd) AS DECIMAL(38, 12)) AS cost_usd
    FROM priced
    GROUP BY ALL
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
