-- What the segments hold, and what retention has taken out of them.
SELECT
    coalesce(sum(spans), 0)::BIGINT,
    coalesce(max(last_seq), 0),
    coalesce(sum(cost_usd), 0)::DECIMAL(38, 12),
    coalesce(sum(spans) FILTER (WHERE last_seq IS NOT NULL), 0)::BIGINT
FROM (
    SELECT row_count AS spans, last_seq, cost_usd FROM _ledger.segment WHERE retired_at IS NULL
    UNION ALL
    SELECT spans, NULL, cost_usd FROM _ledger.expiry
)
