CREATE OR REPLACE VIEW unpriced AS
SELECT
    {org_id} AS org_id,
    provider,
    model,
    request_model,
    response_model,
    cost_status,
    cost_reason,
    count(*) AS calls,
    CAST(sum(input_tokens) AS BIGINT) AS input_tokens,
    CAST(sum(output_tokens) AS BIGINT) AS output_tokens,
    CAST(sum(cost_usd) AS DECIMAL(38, 12)) AS cost_usd,
    min(start_time) AS first_call_at,
    max(end_time) AS last_call_at,
    {suggested_override} AS suggested_override
FROM calls
-- Whatever is called priced has a cost. This alone can be asked of one column while it is read: for all other calls, nearly
-- all, no further column is.
WHERE cost_status IS DISTINCT FROM 'priced' AND (cost_usd IS NULL OR cost_status = 'partial')
GROUP BY {org}provider, model, request_model, response_model, cost_status, cost_reason
