-- Amendments per live segment that can be taken into its file.
SELECT segment.file, count(*)
FROM _ledger.segment AS segment
JOIN _ledger.amendment AS amendment ON amendment.seq BETWEEN segment.first_seq AND segment.last_seq
WHERE segment.retired_at IS NULL
  AND NOT segment.cold
GROUP BY segment.file
