calls.trace_id,
    calls.model,
    calls.failed,
    epoch_ns(calls.end_time) AS end_ns,
