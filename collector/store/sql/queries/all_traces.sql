SELECT
    org_id,
    trace_id,
    2 * min(seq) + CASE WHEN bool_or(call_kind IS NOT NULL) THEN 1 ELSE 0 END AS state
FROM _ledger.span_log
GROUP BY org_id, trace_id
ORDER BY state DESC
LIMIT ?
