-- What the calls of a window cost, per value of one dimension, and in total (the row where `is_total` is 1).
-- Filled in: the calls (as they stand, or as billed), the value (an expression over the call and its span), conditions over the same, and the order.
-- An execution is a run in which the value took part; outside any run, a trace.
-- Useful output is that of calls that succeeded and had no later attempt.
WITH chosen AS (
    SELECT
        {value} AS value,
        calls.cost_usd,
        calls.cost_status,
        calls.input_tokens,
        calls.output_tokens,
        calls.cache_read_tokens,
        calls.cache_write_tokens,
        calls.reasoning_tokens,
        calls.attempt > 1 AS is_retry,
        calls.wasted,
        NOT calls.failed AND again.retry_of IS NULL AS is_useful,
        calls.run AS execution
    FROM {calls} AS calls
    {spans}
    LEFT JOIN (SELECT DISTINCT org_id, trace_id, retry_of FROM calls WHERE retry_of IS NOT NULL) AS again
        ON again.org_id = calls.org_id AND again.trace_id = calls.trace_id AND again.retry_of = calls.span_id
    WHERE calls.start_time >= CAST($since AS TIMESTAMP_NS)
        AND calls.start_time < CAST($until AS TIMESTAMP_NS)
        AND {where}
)
SELECT
    value,
    grouping(value) AS is_total,
    count(*) OVER () - 1 AS groups,
    count(*) AS calls,
    coalesce(sum(cost_usd), 0) AS cost_usd,
    count(*) FILTER (WHERE cost_usd IS NULL) AS unpriced_calls,
    count(*) FILTER (WHERE cost_status = 'partial') AS partial_calls,
    count(*) FILTER (WHERE cost_status = 'estimated') AS estimated_calls,
    coalesce(sum(cost_usd) FILTER (WHERE cost_status = 'estimated'), 0) AS estimated_cost_usd,
    count(*) FILTER (WHERE cost_status = 'reported') AS reported_calls,
    count(*) FILTER (WHERE is_retry) AS retries,
    coalesce(sum(cost_usd) FILTER (WHERE is_retry), 0) AS retry_cost_usd,
    coalesce(sum(cost_usd) FILTER (WHERE wasted), 0) AS wasted_cost_usd,
    CAST(sum(input_tokens) AS BIGINT) AS input_tokens,
    CAST(sum(output_tokens) AS BIGINT) AS output_tokens,
    CAST(sum(cache_read_tokens) AS BIGINT) AS cache_read_tokens,
    CAST(sum(cache_write_tokens) AS BIGINT) AS cache_write_tokens,
    CAST(sum(reasoning_tokens) AS BIGINT) AS reasoning_tokens,
    count(DISTINCT execution) AS executions,
    CAST(coalesce(sum(output_tokens) FILTER (WHERE is_useful), 0) AS BIGINT) AS useful_output_tokens
FROM chosen
GROUP BY GROUPING SETS ((value), ())
ORDER BY is_total DESC, {order}, value NULLS LAST
LIMIT $limit + 1
