SELECT call_log.*
FROM _ledger.call_log AS call_log
SEMI JOIN touched ON touched.trace_id = call_log.trace_id AND touched.org_id = call_log.org_id
WHERE call_log.seq >= ?
