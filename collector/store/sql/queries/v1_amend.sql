-- Calls from $1 to $2 that say something else than their span does, because a second record of the call filled it in.
INSERT INTO v1_amended
SELECT call_log.*
FROM _ledger.call_log AS call_log
JOIN _ledger.span_log AS span_log ON span_log.seq = call_log.seq
WHERE span_log.seq BETWEEN $1 AND $2
    AND call_log.seq BETWEEN $1 AND $2
    AND (
        span_log.provider IS DISTINCT FROM call_log.provider
        OR span_log.model IS DISTINCT FROM call_log.model
        OR span_log.request_model IS DISTINCT FROM call_log.request_model
        OR span_log.response_model IS DISTINCT FROM call_log.response_model
        OR span_log.response_id IS DISTINCT FROM call_log.response_id
        OR span_log.input_tokens IS DISTINCT FROM call_log.input_tokens
        OR span_log.output_tokens IS DISTINCT FROM call_log.output_tokens
        OR span_log.cache_read_tokens IS DISTINCT FROM call_log.cache_read_tokens
        OR span_log.cache_write_tokens IS DISTINCT FROM call_log.cache_write_tokens
        OR span_log.output_reasoning_tokens IS DISTINCT FROM call_log.output_reasoning_tokens
        OR span_log.usage_json IS DISTINCT FROM call_log.usage_json
        OR span_log.cost_usd IS DISTINCT FROM call_log.cost_usd
        OR span_log.cost_status IS DISTINCT FROM call_log.cost_status
    )
