-- What counted calls beyond a span of the ledger add to the metrics of spend, the dearest combinations first.
-- Filled in: the label columns, and their names as keys.
SELECT
    {labels},
    CAST(sum(cost_usd) * 1000000000000 AS DECIMAL(38, 0)) AS cost,
    CAST(sum(cost_usd) FILTER (WHERE attempt > 1) * 1000000000000 AS DECIMAL(38, 0)) AS retry_cost,
    CAST(sum(cost_usd) FILTER (WHERE wasted) * 1000000000000 AS DECIMAL(38, 0)) AS wasted_cost,
    CAST(sum(cost_usd) FILTER (WHERE cost_status = 'estimated') * 1000000000000 AS DECIMAL(38, 0)) AS estimated_cost,
    count(*) AS calls,
    count(*) FILTER (WHERE cost_usd IS NULL) AS unpriced_calls,
    count(*) FILTER (WHERE cost_status = 'partial' AND cost_usd IS NOT NULL) AS partial_calls,
    count(*) FILTER (WHERE failed) AS failed_calls,
    count(*) FILTER (WHERE attempt > 1) AS retries,
    sum(input_tokens) AS input_tokens,
    sum(output_tokens) AS output_tokens,
    sum(cache_read_tokens) AS cache_read_tokens,
    sum(cache_write_tokens) AS cache_write_tokens,
    sum(reasoning_tokens) AS reasoning_tokens,
    max(seq) AS last_seq
FROM calls
WHERE seq > ?
GROUP BY {keys}
ORDER BY cost DESC NULLS LAST, {keys}
