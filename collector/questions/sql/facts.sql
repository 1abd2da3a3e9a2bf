-- The chosen calls, one row each: the names and the bucket that are filled in, and what is summed of a call.
-- Money of an unpriced call and tokens that a call does not say are NULL, and stay out of sums.
SELECT
    {names}
    epoch_ns(calls.start_time) AS first_ns,
    epoch_ns(calls.start_time) AS last_ns,
    1 AS calls,
    calls.cost_usd,
    CAST(calls.cost_usd IS NULL AS INTEGER) AS unpriced_calls,
    CAST(calls.cost_status IS NOT DISTINCT FROM 'partial' AS INTEGER) AS partial_calls,
    CAST(calls.cost_status IS NOT DISTINCT FROM 'estimated' AS INTEGER) AS estimated_calls,
    CASE WHEN calls.cost_status = 'estimated' THEN calls.cost_usd END AS estimated_cost_usd,
    CAST(calls.cost_status IS NOT DISTINCT FROM 'reported' AS INTEGER) AS reported_calls,
    CAST(calls.failed AS INTEGER) AS failed_calls,
    CAST(calls.attempt > 1 AS INTEGER) AS retries,
    CAST(calls.attempt > 1 AND calls.cost_usd IS NULL AS INTEGER) AS unpriced_retries,
    CASE WHEN calls.attempt > 1 THEN calls.cost_usd END AS retry_cost_usd,
    CASE WHEN calls.wasted THEN calls.cost_usd END AS wasted_cost_usd,
    calls.input_tokens,
    calls.output_tokens,
    calls.cache_read_tokens,
    calls.cache_write_tokens,
    calls.reasoning_tokens,
    CASE WHEN NOT calls.failed AND NOT calls.wasted THEN calls.output_tokens END AS useful_output_tokens,
    CASE WHEN calls.cache_read_tokens IS NOT NULL THEN calls.input_tokens END AS cacheable_tokens,
    CASE WHEN calls.input_tokens IS NOT NULL THEN calls.cache_read_tokens END AS cached_tokens,
    CASE WHEN calls.cost_usd IS NOT NULL THEN calls.input_tokens - coalesce(calls.cache_read_tokens, 0) END AS uncached_tokens
FROM {calls} AS calls
{spans}
WHERE {where}
