SELECT
    call_log.seq,
    call_log.revision,
    call_log.counted,
    call_log.not_counted_reason,
    call_log.duplicate_of,
    call_log.run,
    call_log.agent,
    call_log.customer,
    call_log.feature,
    call_log.team,
    call_log."user",
    call_log.project,
    call_log.environment,
    call_log.conversation,
    call_log.attempt,
    call_log.retry_of,
    call_log.wasted,
    call_log.provider,
    call_log.request_model,
    call_log.response_model,
    call_log.response_id,
    call_log.cache_read_tokens,
    call_log.cache_write_tokens,
    call_log.output_reasoning_tokens
FROM _ledger.call_log AS call_log
SEMI JOIN touched ON touched.trace_id = call_log.trace_id AND touched.org_id = call_log.org_id
WHERE call_log.seq >= ?
