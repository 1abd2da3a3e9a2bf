-- The files with the figures that runs in force have replaced.
SELECT file FROM _ledger.price_run WHERE undone_at IS NULL ORDER BY batch
