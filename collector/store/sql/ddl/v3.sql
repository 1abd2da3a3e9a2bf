-- Version 3 adds price runs: stored calls that were priced again. Their rows carry the new figures; the figures of before lie
-- in `file`, in the folder of price runs, until the run is undone. The batch row of a run holds what it added to the sum of all
-- rows, so that batches and segments still add up.
CREATE TABLE _ledger.price_run (
    name VARCHAR NOT NULL,
    batch BIGINT NOT NULL, -- of its commit: later runs have higher ones
    applied_at TIMESTAMP NOT NULL,
    applied_by VARCHAR NOT NULL,
    card VARCHAR NOT NULL, -- digest
    cards_before VARCHAR NOT NULL, -- comma-separated
    since TIMESTAMP_NS, -- what was chosen; NULL: everything
    until TIMESTAMP_NS,
    models VARCHAR, -- comma-separated, like the next two
    providers VARCHAR,
    organizations VARCHAR,
    calls BIGINT NOT NULL, -- counted calls that were looked at
    changed_calls BIGINT NOT NULL, -- those that cost something else, or have another status
    cost_before_usd DECIMAL(38, 12) NOT NULL,
    cost_after_usd DECIMAL(38, 12) NOT NULL,
    unpriced_before BIGINT NOT NULL,
    unpriced_after BIGINT NOT NULL,
    archived_spans BIGINT NOT NULL, -- in files of the archive that may hold such calls; they are never changed
    file VARCHAR NOT NULL,
    file_bytes BIGINT NOT NULL,
    file_rows BIGINT NOT NULL,
    undone_at TIMESTAMP, -- NULL: it is in force
    undone_by VARCHAR
);
