SELECT segment.file, count(*)
FROM _ledger.call_retraction AS retraction
JOIN _ledger.segment AS segment
  ON retraction.revision BETWEEN segment.first_key AND segment.last_key
 AND retraction.retracted_in > segment.as_of_batch
WHERE segment.source = 'call_log' AND segment.retired_at IS NULL
GROUP BY segment.file
