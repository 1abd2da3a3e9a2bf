-- What is not sealed after $1, in pieces of about $2 bytes of text: last seq, rows and bytes of each.
WITH hot AS (
    SELECT seq,
           strlen(attributes) + strlen(resource) + coalesce(strlen(events), 0) + coalesce(strlen(links), 0)
           + coalesce(strlen(name), 0) + coalesce(strlen(status_message), 0) AS bytes
    FROM _ledger.span_log
    WHERE seq > $1
),
summed AS (
    SELECT seq, bytes, sum(bytes) OVER (ORDER BY seq) // $2 AS piece
    FROM hot
)
SELECT max(seq), count(*), CAST(sum(bytes) AS BIGINT)
FROM summed
GROUP BY piece
ORDER BY 1
