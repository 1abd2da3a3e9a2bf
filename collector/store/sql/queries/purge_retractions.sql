DELETE FROM _ledger.call_retraction
WHERE NOT EXISTS (
    SELECT 1
    FROM _ledger.segment AS segment
    WHERE segment.source = 'call_log'
      AND segment.retired_at IS NULL
      AND call_retraction.revision BETWEEN segment.first_key AND segment.last_key
      AND call_retraction.retracted_in > segment.as_of_batch
)
