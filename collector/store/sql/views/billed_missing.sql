CREATE OR REPLACE VIEW _ledger.billed AS
SELECT none.*
FROM (SELECT CAST(error({said}) AS BOOLEAN) AS broken) AS missing
LEFT JOIN read_parquet({files}, hive_partitioning = false) AS none ON missing.broken
