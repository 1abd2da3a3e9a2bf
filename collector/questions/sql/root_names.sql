-- Names of the root spans of some traces, or of their first spans, looked for from a day before the first of their calls.
SELECT
    trace_id,
    coalesce(arg_min(name, start_time) FILTER (WHERE parent_span_id IS NULL), arg_min(name, start_time)) AS name
FROM org_spans
WHERE trace_id IN (SELECT unnest($trace_ids))
    AND start_time >= make_timestamp_ns($first_ns - 86400000000000) AND start_time <= make_timestamp_ns($last_ns)
GROUP BY trace_id
