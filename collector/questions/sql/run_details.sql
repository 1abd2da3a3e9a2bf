-- What is shown of some runs.
SELECT
    chosen.run,
    list_sort(list(DISTINCT chosen.trace_id))[1:{max_traces}] AS trace_ids,
    count(DISTINCT chosen.trace_id) AS trace_count,
    epoch_ns(min(chosen.start_time)) AS first_ns,
    epoch_ns(max(chosen.end_time)) AS last_ns,
    list_sort(list(DISTINCT chosen.model)) AS models,
    arg_max(chosen.failed, chosen.end_time) AS failed
FROM chosen
GROUP BY chosen.run
