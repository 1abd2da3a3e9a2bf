SELECT
    hash(org_id, response_id) AS response_hash,
    min(seq) AS first_seq,
    arg_min(hash(org_id, trace_id), seq) AS trace_hash,
    count(DISTINCT trace_id) > 1 AS shared
FROM _ledger.call_log
WHERE response_id IS NOT NULL
GROUP BY org_id, response_id
ORDER BY first_seq DESC
LIMIT ?
