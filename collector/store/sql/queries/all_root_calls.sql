SELECT
    org_id,
    service_name,
    scope_name,
    input_tokens,
    max(response_id) AS response_id,
    max(start_time) AS start_time,
    max(end_time) AS end_time,
    'leaf' AS call_kind,
    CAST(NULL AS VARCHAR) AS parent_span_id
FROM _ledger.span_log
WHERE parent_span_id IS NULL
    AND call_kind = 'leaf'
    AND service_name IS NOT NULL
    AND scope_name IS NOT NULL
    AND input_tokens > 0
GROUP BY org_id, service_name, scope_name, input_tokens, epoch_ns(start_time) // ?, response_id IS NULL
ORDER BY start_time DESC
LIMIT ?
