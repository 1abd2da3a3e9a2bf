SELECT span_log.* EXCLUDE (trace_state, status_message, scope_version, events, links, dropped_attributes_count,
    attributes, resource)
FROM _ledger.span_log AS span_log
SEMI JOIN touched ON touched.trace_id = span_log.trace_id AND touched.org_id = span_log.org_id
WHERE span_log.seq >= ?
