SELECT call_row.*
FROM call_row
LEFT JOIN stored_call ON stored_call.seq = call_row.seq
WHERE stored_call.seq IS NULL
   OR stored_call.counted IS DISTINCT FROM call_row.counted
   OR stored_call.not_counted_reason IS DISTINCT FROM call_row.not_counted_reason
   OR stored_call.duplicate_of IS DISTINCT FROM call_row.duplicate_of
   OR stored_call.run IS DISTINCT FROM call_row.run
   OR stored_call.agent IS DISTINCT FROM call_row.agent
   OR stored_call.customer IS DISTINCT FROM call_row.customer
   OR stored_call.feature IS DISTINCT FROM call_row.feature
   OR stored_call.team IS DISTINCT FROM call_row.team
   OR stored_call."user" IS DISTINCT FROM call_row."user"
   OR stored_call.project IS DISTINCT FROM call_row.project
   OR stored_call.environment IS DISTINCT FROM call_row.environment
   OR stored_call.conversation IS DISTINCT FROM call_row.conversation
   OR stored_call.attempt IS DISTINCT FROM call_row.attempt
   OR stored_call.retry_of IS DISTINCT FROM call_row.retry_of
   OR stored_call.wasted IS DISTINCT FROM call_row.wasted
   OR stored_call.provider IS DISTINCT FROM call_row.provider
   OR stored_call.request_model IS DISTINCT FROM call_row.request_model
   OR stored_call.response_model IS DISTINCT FROM call_row.response_model
   OR stored_call.response_id IS DISTINCT FROM call_row.response_id
   OR stored_call.cache_read_tokens IS DISTINCT FROM call_row.cache_read_tokens
   OR stored_call.cache_write_tokens IS DISTINCT FROM call_row.cache_write_tokens
   OR stored_call.output_reasoning_tokens IS DISTINCT FROM call_row.output_reasoning_tokens
