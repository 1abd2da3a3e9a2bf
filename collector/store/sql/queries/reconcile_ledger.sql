-- Counted calls of a window, and failed ones that say no usage, by UTC day and model, with those whose cost is not known, or not all of it.
SELECT
    CAST(start_time AS DATE) AS day,
    provider,
    model,
    request_model,
    response_model,
    count(*) AS calls,
    coalesce(sum(cost_usd), 0) AS cost_usd,
    count(*) FILTER (WHERE cost_usd IS NULL AND usage) AS unpriced_calls,
    count(*) FILTER (WHERE cost_status = 'partial') AS partial_calls,
    count(*) FILTER (WHERE cost_status = 'estimated') AS estimated_calls,
    count(*) FILTER (WHERE NOT usage AND NOT failed AND cost_usd IS NULL) AS missing_usage_calls,
    count(*) FILTER (WHERE NOT usage AND failed AND coalesce(cost_usd, 0) = 0) AS aborted_calls,
    CAST(coalesce(sum(input_tokens), 0) AS BIGINT) AS input_tokens,
    CAST(coalesce(sum(output_tokens), 0) AS BIGINT) AS output_tokens
FROM (
    SELECT *, input_tokens IS NOT NULL OR output_tokens IS NOT NULL OR usage_json IS NOT NULL AS usage
    FROM attempts
    WHERE (counted OR failed AND not_counted_reason = 'failed')
        AND start_time >= CAST($since AS TIMESTAMP_NS) AND start_time < CAST($until AS TIMESTAMP_NS)
)
GROUP BY ALL
ORDER BY day, provider, model, request_model, response_model
