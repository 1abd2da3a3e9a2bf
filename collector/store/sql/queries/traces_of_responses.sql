SELECT DISTINCT call_log.org_id, call_log.trace_id
FROM _ledger.call_log AS call_log
JOIN wanted_response ON wanted_response.response_id = call_log.response_id
    AND wanted_response.org_id = call_log.org_id
WHERE call_log.start_time BETWEEN make_timestamp_ns(wanted_response.start_time_ns - 86400000000000)
    AND make_timestamp_ns(wanted_response.start_time_ns + 86400000000000)
