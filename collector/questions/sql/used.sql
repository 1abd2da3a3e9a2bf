-- Priced calls per bucket and model: of all (`place` -1), and of each value of some names (`place` 0, 1, ...). Of each
-- name, the $limit values that cost most; NULL is a value too.
WITH cells AS MATERIALIZED (
    SELECT
        bucket,
        {model} AS model,
        {named}
        CAST(sum(calls - unpriced_calls) AS BIGINT) AS calls,
        CAST(sum(coalesce(input_tokens, 0) + coalesce(output_tokens, 0)) FILTER (WHERE unpriced_calls < calls) AS BIGINT) AS tokens,
        CAST(sum(cost_usd) AS DECIMAL(38, 12)) AS cost_usd
    FROM facts
    GROUP BY ALL
    HAVING sum(calls - unpriced_calls) > 0
)
{places}
