SELECT again.row
FROM again
JOIN _ledger.span_log AS span_log ON span_log.seq = again.seq
WHERE span_log.seq BETWEEN ? AND ?
  AND (again.name IS DISTINCT FROM span_log.name
    OR make_timestamp_ns(again.end_time_ns) IS DISTINCT FROM span_log.end_time
    OR again.status_code IS DISTINCT FROM span_log.status_code
    OR again.attributes IS DISTINCT FROM span_log.attributes
    OR again.events IS DISTINCT FROM span_log.events
    OR again.request_model IS DISTINCT FROM span_log.request_model
    OR again.response_model IS DISTINCT FROM span_log.response_model
    OR again.response_id IS DISTINCT FROM span_log.response_id
    OR again.input_tokens IS DISTINCT FROM span_log.input_tokens
    OR again.output_tokens IS DISTINCT FROM span_log.output_tokens
    OR again.cache_read_tokens IS DISTINCT FROM span_log.cache_read_tokens
    OR again.cache_write_tokens IS DISTINCT FROM span_log.cache_write_tokens
    OR again.output_reasoning_tokens IS DISTINCT FROM span_log.output_reasoning_tokens
    OR again.usage_json IS DISTINCT FROM span_log.usage_json)
