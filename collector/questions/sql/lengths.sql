-- The chosen calls, with the length of their output.
SELECT
    {names}
    calls.trace_id,
    calls.span_id,
    calls.agent,
    calls.model,
    calls.output_tokens,
    calls.cost_usd,
    epoch_ns(calls.start_time) AS start_ns
FROM {calls} AS calls
{spans}
WHERE {where}
