SELECT
    org_id,
    trace_id,
    hash(org_id::VARCHAR, trace_id::VARCHAR) AS trace_hash,
    bool_or(call_kind IS NOT NULL) AS has_call,
    min(seq) AS first_seq
FROM new_span
GROUP BY org_id, trace_id
