CREATE OR REPLACE VIEW _ledger.billed AS
SELECT * FROM read_parquet({files}, hive_partitioning = false) WHERE "first"
