INSERT INTO _ledger.call_retraction
SELECT seq, revision, ?::BIGINT
FROM call_row
