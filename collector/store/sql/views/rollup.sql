CREATE OR REPLACE VIEW {view} AS
SELECT
    {org_id} AS org_id,
    {select},
    count(*) AS calls,
    count(*) - count(cost_usd) AS unpriced_calls,
    count(*) FILTER (WHERE cost_status = 'partial') AS partial_calls,
    count(*) FILTER (WHERE cost_status = 'estimated') AS estimated_calls,
    count(*) FILTER (WHERE cost_status = 'reported') AS reported_calls,
    count(*) FILTER (WHERE failed) AS failed_calls,
    count(*) FILTER (WHERE attempt > 1) AS retries,
    -- DuckDB computes an unused count(DISTINCT) all the same, at ten times the cost of the rest; a list goes when unused.
    -- Of 64-bit hashes: two of ten million runs are taken for one with a probability of three in a million.
    CAST(list_unique(list(hash(run))) AS BIGINT) AS run_count,
    CAST(list_unique(list(hash(trace_id))) AS BIGINT) AS trace_count,
    CAST(sum(input_tokens) AS BIGINT) AS input_tokens,
    CAST(sum(output_tokens) AS BIGINT) AS output_tokens,
    CAST(sum(cache_read_tokens) AS BIGINT) AS cache_read_tokens,
    CAST(sum(cache_write_tokens) AS BIGINT) AS cache_write_tokens,
    CAST(sum(reasoning_tokens) AS BIGINT) AS reasoning_tokens,
    CAST(sum(cost_usd) AS DECIMAL(38, 12)) AS cost_usd,
    CAST(sum(cost_usd) FILTER (WHERE cost_status = 'estimated') AS DECIMAL(38, 12)) AS estimated_cost_usd,
    CAST(sum(cost_usd) FILTER (WHERE attempt > 1) AS DECIMAL(38, 12)) AS retry_cost_usd,
    CAST(sum(cost_usd) FILTER (WHERE wasted) AS DECIMAL(38, 12)) AS wasted_cost_usd,
    CAST(sum(reported_cost_usd) AS DECIMAL(38, 12)) AS reported_cost_usd,
    min(start_time) AS first_call_at,
    max(end_time) AS last_call_at
FROM calls
GROUP BY {org}{group}
