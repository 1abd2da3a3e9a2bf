SELECT DISTINCT org_id, response_id, trace_id
FROM _ledger.call_log
WHERE response_id IS NOT NULL
LIMIT ?
