-- Chosen calls with the longest outputs.
SELECT trace_id, span_id, agent, model, output_tokens, cost_usd, start_ns
FROM lengths
WHERE output_tokens IS NOT NULL
ORDER BY output_tokens DESC, cost_usd DESC NULLS LAST, trace_id, span_id
LIMIT $limit
