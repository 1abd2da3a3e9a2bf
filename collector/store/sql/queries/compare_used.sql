-- What a window's counted calls used, by model and (is_of_hour) by hour, and whether they can be priced on another model:
-- 'compared', or the reason why not. Filled in: the operations that are no text calls, and which calls.
SELECT
    grouping(hour) = 0 AS is_of_hour,
    date_trunc('hour', start_time)::TIMESTAMP AS hour,
    provider,
    model,
    CASE
        WHEN coalesce(operation, '') IN ({operations}) THEN 'no text call'
        WHEN cost_usd IS NULL THEN 'unpriced'
        WHEN input_tokens IS NULL AND output_tokens IS NULL AND usage_json IS NULL THEN 'no usage'
        ELSE 'compared'
    END AS kind,
    count(*) AS calls,
    count(*) FILTER (WHERE cost_status = 'partial') AS partial_calls,
    count(*) FILTER (WHERE cost_status = 'estimated') AS estimated_calls,
    CAST(coalesce(sum(input_tokens), 0) AS BIGINT) AS input_tokens,
    CAST(coalesce(sum(cache_read_tokens), 0) AS BIGINT) AS cache_read_tokens,
    CAST(coalesce(sum(output_tokens), 0) AS BIGINT) AS output_tokens,
    coalesce(sum(cost_usd), 0) AS cost_usd,
    -- more than so many are no tokens of one call, and must not overflow
    coalesce(max(least(coalesce(input_tokens, 0), 1000000000000) + least(coalesce(output_tokens, 0), 1000000000000)), 0)
        AS longest_tokens
FROM _ledger.call_log
WHERE {which} AND counted AND start_time >= $since AND start_time < $until
GROUP BY GROUPING SETS ((kind, provider, model), (kind, hour))
ORDER BY hour
