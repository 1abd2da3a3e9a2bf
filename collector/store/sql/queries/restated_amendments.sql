-- Amendments of rows in {files}, with the figures that stand there now.
SELECT amendment.* REPLACE (CAST(? AS BIGINT) AS revision, {figures})
FROM _ledger.amendment AS amendment
JOIN read_parquet({files}, hive_partitioning = false) AS stored ON stored.seq = amendment.seq
WHERE amendment.seq BETWEEN ? AND ?
