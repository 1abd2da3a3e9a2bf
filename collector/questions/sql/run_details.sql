-- What is shown of some runs: a line per run, and one per run and agent.
SELECT
    key_0 AS run,
    key_1 AS agent,
    grouping(key_1) = 1 AS is_whole,
    list_sort(list(DISTINCT trace_id)) AS trace_ids,
    count(DISTINCT trace_id) AS trace_count,
    min(first_ns) AS start_ns,
    max(end_ns) AS end_ns,
    list_sort(list(DISTINCT model)) AS models,
    arg_max(failed, end_ns) AS failed,
    {measures}
FROM details
GROUP BY GROUPING SETS ((key_0), (key_0, key_1))
