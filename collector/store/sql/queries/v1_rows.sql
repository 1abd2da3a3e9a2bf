-- Spans from $1 to $2 with what their whole trace says of them: `final` are the columns that it may supply.
SELECT
    span_log.* REPLACE ({final}),
    call_log.revision,
    call_log.counted,
    call_log.not_counted_reason,
    call_log.duplicate_of,
    call_log.attempt,
    call_log.retry_of,
    call_log.wasted,
    CASE WHEN call_log.seq IS NOT NULL THEN {derived} END AS derived
FROM _ledger.span_log AS span_log
LEFT JOIN _ledger.call_log AS call_log
    ON call_log.seq = span_log.seq AND call_log.seq BETWEEN $1 AND $2
WHERE span_log.seq BETWEEN $1 AND $2
ORDER BY span_log.seq
