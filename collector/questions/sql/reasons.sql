-- Why chosen calls have no price, or one for a part only.
WITH reasons AS MATERIALIZED (
    SELECT
        provider,
        model,
        request_model,
        response_model,
        cost_status,
        cost_reason,
        count(*) AS calls,
        CAST(sum(input_tokens) AS BIGINT) AS input_tokens,
        CAST(sum(output_tokens) AS BIGINT) AS output_tokens,
        epoch_ns(min(start_time)) AS first_ns,
        epoch_ns(max(end_time)) AS last_ns,
        {suggested_override} AS suggested_override
    FROM chosen
    WHERE cost_usd IS NULL OR cost_status = 'partial'
    GROUP BY provider, model, request_model, response_model, cost_status, cost_reason
)
SELECT *, count(*) OVER () AS groups, CAST(sum(calls) OVER () AS BIGINT) AS all_calls
FROM reasons
ORDER BY calls DESC, provider, model, request_model, response_model, cost_status, cost_reason
LIMIT $limit
