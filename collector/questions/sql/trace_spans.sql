-- Every span of one trace, with what the whole trace says of those that are calls or wrap one.
SELECT
    spans.span_id,
    spans.parent_span_id,
    spans.name,
    epoch_ns(spans.start_time) AS start_time_ns,
    epoch_ns(spans.end_time) AS end_time_ns,
    spans.status,
    spans.status_message,
    spans.scope_name,
    spans.call_kind,
    attempts.counted,
    attempts.not_counted_reason,
    attempts.duplicate_of,
    coalesce(attempts.operation, spans.operation) AS operation,
    coalesce(attempts.provider, spans.provider) AS provider,
    coalesce(attempts.model, spans.model) AS model,
    attempts.run,
    attempts.agent,
    spans.failed,
    coalesce(attempts.input_tokens, spans.input_tokens) AS input_tokens,
    coalesce(attempts.output_tokens, spans.output_tokens) AS output_tokens,
    coalesce(attempts.cache_read_tokens, spans.cache_read_tokens) AS cache_read_tokens,
    coalesce(attempts.cache_write_tokens, spans.cache_write_tokens) AS cache_write_tokens,
    coalesce(attempts.reasoning_tokens, spans.reasoning_tokens) AS reasoning_tokens,
    coalesce(attempts.usage_json, spans.usage_json) AS usage_json,
    attempts.cost_usd,
    attempts.cost_status,
    attempts.cost_reason,
    attempts.card,
    attempts.rate_row,
    attempts.attempt,
    attempts.retry_of
FROM (SELECT * FROM org_spans WHERE trace_id = $trace_id) AS spans
LEFT JOIN (SELECT * FROM org_attempts WHERE trace_id = $trace_id) AS attempts ON attempts.seq = spans.seq
ORDER BY spans.start_time, spans.span_id
LIMIT $limit
