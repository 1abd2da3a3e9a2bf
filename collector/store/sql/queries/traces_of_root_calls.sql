SELECT DISTINCT span_log.org_id, span_log.trace_id
FROM _ledger.span_log AS span_log
JOIN wanted_root ON wanted_root.org_id = span_log.org_id
    AND wanted_root.service_name = span_log.service_name
    AND wanted_root.input_tokens = span_log.input_tokens
    AND wanted_root.scope_name != span_log.scope_name
    AND span_log.start_time BETWEEN make_timestamp_ns(wanted_root.from_ns) AND make_timestamp_ns(wanted_root.to_ns)
    AND span_log.start_time <= make_timestamp_ns(wanted_root.end_ns)
    AND span_log.end_time >= make_timestamp_ns(wanted_root.start_ns)
    AND (wanted_root.response_id IS NULL OR span_log.response_id IS NULL)
WHERE span_log.parent_span_id IS NULL
    AND span_log.call_kind = 'leaf'
    AND span_log.start_time BETWEEN make_timestamp_ns(?) AND make_timestamp_ns(?)
