INSERT INTO _ledger.call_retraction
SELECT call_log.seq, call_log.revision, ?::BIGINT
FROM _ledger.call_log AS call_log
SEMI JOIN call_row ON call_row.seq = call_log.seq
WHERE call_log.seq BETWEEN ? AND ?
