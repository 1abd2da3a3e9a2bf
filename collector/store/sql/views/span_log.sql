CREATE OR REPLACE VIEW _ledger.span_log AS
SELECT * FROM read_parquet({files}, hive_partitioning = false)
