JOIN spans ON spans.org_id = calls.org_id AND spans.trace_id = calls.trace_id AND spans.span_id = calls.span_id
    AND spans.start_time >= CAST($since AS TIMESTAMP_NS) AND spans.start_time < CAST($until AS TIMESTAMP_NS)
