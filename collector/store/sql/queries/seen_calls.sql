-- Model calls of a small ledger: what each kind of them is, who reported it, and why it has no price.
-- $wire is the attribute that says that a span of somebody else's got the facts of the exchange.
WITH call AS (
    SELECT
        attempts.*,
        spans.scope_name,
        spans.attributes ->> ('$."' || $wire || '"') IS NOT NULL AS is_enriched
    FROM attempts
    JOIN spans
        ON spans.org_id = attempts.org_id AND spans.trace_id = attempts.trace_id AND spans.span_id = attempts.span_id
    WHERE attempts.call_kind = 'leaf'
),
second AS (
    SELECT org_id, trace_id, duplicate_of AS span_id, list(DISTINCT scope_name) AS scopes
    FROM call
    WHERE duplicate_of IS NOT NULL
    GROUP BY ALL
)
SELECT
    call.provider,
    call.model,
    call.operation,
    list_sort(list_distinct(list_concat([call.scope_name], coalesce(second.scopes, [])))) AS scopes,
    call.is_enriched,
    call.failed,
    call.counted,
    call.input_tokens IS NOT NULL OR call.output_tokens IS NOT NULL OR call.usage_json IS NOT NULL AS has_usage,
    call.cost_status,
    call.cost_reason,
    count(*) AS calls,
    count(call.agent) AS with_agent,
    count(call.customer) AS with_customer,
    CAST(sum(call.cost_usd) AS DECIMAL(38, 12)) AS cost_usd
FROM call
LEFT JOIN second
    ON second.org_id = call.org_id AND second.trace_id = call.trace_id AND second.span_id = call.span_id
WHERE call.counted OR call.not_counted_reason = 'failed'
GROUP BY ALL
ORDER BY call.provider, call.model, call.operation, calls DESC
