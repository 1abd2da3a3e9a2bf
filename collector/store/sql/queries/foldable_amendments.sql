-- Amendments per live segment that are newer than its file: what an older one says could not be taken in then.
SELECT segment.file, count(*)
FROM _ledger.segment AS segment
JOIN _ledger.amendment AS amendment ON amendment.seq BETWEEN segment.first_seq AND segment.last_seq
WHERE segment.retired_at IS NULL
  AND NOT segment.cold
  AND amendment.revision > (
      SELECT coalesce(max(batch.batch), 0) FROM _ledger.batch AS batch WHERE batch.committed_at < segment.written_at
  )
GROUP BY segment.file
