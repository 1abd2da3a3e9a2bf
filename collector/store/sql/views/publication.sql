CREATE OR REPLACE VIEW publication AS
SELECT
    CAST(now() AT TIME ZONE 'UTC' AS TIMESTAMP) AS published_at,
    coalesce(max(batch), 0) AS last_batch,
    coalesce(max(first_seq + spans - 1), 0) AS last_seq,
    CAST(coalesce(sum(spans), 0) AS BIGINT) AS spans,
    max(committed_at) AS last_commit_at,
    (SELECT max(version) FROM _ledger.schema_version) AS schema_version
FROM _ledger.batch
