-- The spans in small blocks: first and last seq, rows, bytes of texts.
SELECT
    min(seq),
    max(seq),
    count(*),
    CAST(sum(strlen(attributes) + strlen(resource) + coalesce(strlen(events), 0) + coalesce(strlen(links), 0)
        + coalesce(strlen(name), 0) + coalesce(strlen(status_message), 0)) AS BIGINT)
FROM _ledger.span_log
GROUP BY seq // 256
ORDER BY 1
