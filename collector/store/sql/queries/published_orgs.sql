-- The organisations of all rows of a publication, two at most: more than one is all that matters.
SELECT DISTINCT org_id
FROM (
    SELECT unnest(org_ids) AS org_id FROM _ledger.segment WHERE retired_at IS NULL
    UNION ALL
    SELECT org_id FROM _ledger.amendment
)
LIMIT 2
