SELECT
    org_id::VARCHAR AS org_id,
    response_id,
    epoch_ns(min(start_time)) AS start_time_ns,
    hash(org_id::VARCHAR, response_id::VARCHAR) AS response_hash,
    hash(org_id::VARCHAR, trace_id::VARCHAR) AS trace_hash
FROM new_span
WHERE response_id IS NOT NULL AND call_kind IS NOT NULL
GROUP BY ALL
