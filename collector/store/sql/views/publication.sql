CREATE OR REPLACE VIEW publication AS
SELECT
    CAST(now() AT TIME ZONE 'UTC' AS TIMESTAMP) AS published_at,
    batches.last_batch,
    greatest(batches.last_seq, segments.last_seq) AS last_seq,
    segments.spans,
    (SELECT CAST(coalesce(sum(row_count), 0) AS BIGINT) FROM _ledger.lost_segment) AS missing_spans,
    batches.last_commit_at,
    (SELECT max(version) FROM _ledger.schema_version) AS schema_version,
    segments.segments,
    segments.segment_bytes,
    (SELECT count(*) FROM _ledger.amendment) AS amendments,
    (SELECT count(*) FROM _ledger.price_run WHERE undone_at IS NULL) AS price_runs,
    (SELECT CAST(coalesce(sum(spans), 0) AS BIGINT) FROM _ledger.expiry) AS expired_spans,
    (SELECT CAST(coalesce(sum(cost_usd), 0) AS DECIMAL(38, 12)) FROM _ledger.expiry) AS expired_cost_usd
FROM (
    SELECT
        coalesce(max(batch), 0) AS last_batch,
        coalesce(max(first_seq + spans - 1), 0) AS last_seq,
        max(committed_at) AS last_commit_at
    FROM _ledger.batch
) AS batches
CROSS JOIN (
    SELECT
        coalesce(max(last_seq), 0) AS last_seq,
        CAST(coalesce(sum(row_count), 0) AS BIGINT) AS spans,
        count(*) AS segments,
        CAST(coalesce(sum(size_bytes), 0) AS BIGINT) AS segment_bytes
    FROM _ledger.segment
    WHERE retired_at IS NULL
) AS segments
