-- Version 2 of the _ledger: the manifest. Spans live in immutable Parquet segments; this file says which segments exist, what
-- has changed since they were written, and holds what is small. No key, no index, no UPDATE on any of these tables: a key
-- triples the file, and an update plus one open reader stops every checkpoint. Times are naive UTC, money is DECIMAL in USD.
CREATE SCHEMA _ledger;

CREATE TABLE _ledger.schema_version (version INTEGER NOT NULL, applied_at TIMESTAMP NOT NULL, program VARCHAR NOT NULL);

-- Which texts the public views were made from.
CREATE TABLE _ledger.view_digest (digest VARCHAR NOT NULL);

-- One row per committed batch, in the same transaction: what the ledger must contain. Old rows are folded into one.
CREATE TABLE _ledger.batch (
    batch BIGINT NOT NULL,
    first_seq BIGINT NOT NULL,
    spans BIGINT NOT NULL,
    cost_usd DECIMAL(38, 12) NOT NULL,
    committed_at TIMESTAMP NOT NULL,
    journal BIGINT NOT NULL -- last journal record in it or before it; 0 when there is none
);

-- Parquet files (collector/store/rows.py: ROW_SCHEMA) that hold every span once, in order of arrival. `file` is relative to the
-- folder of segments, or absolute. A file that was replaced stays for a while for readers of older publications.
CREATE TABLE _ledger.segment (
    file VARCHAR NOT NULL,
    first_seq BIGINT NOT NULL, -- both ends included; expired spans leave gaps
    last_seq BIGINT NOT NULL,
    row_count BIGINT NOT NULL,
    size_bytes BIGINT NOT NULL,
    cost_usd DECIMAL(38, 12) NOT NULL, -- sum over its rows
    start_ranges_ns BIGINT[] NOT NULL, -- [low, high, low, high, ...]: every start time lies in one of them
    org_ids VARCHAR[] NOT NULL,
    tier INTEGER NOT NULL, -- 0: as appended; higher: merged so often
    cold BOOLEAN NOT NULL, -- exported by day to the archive
    written_at TIMESTAMP NOT NULL,
    retired_at TIMESTAMP -- NULL: part of the ledger
);

-- Segments whose file was missing or damaged when it was needed: no part of the ledger until the file is back.
CREATE TABLE _ledger.lost_segment AS FROM _ledger.segment;

-- Calls whose verdict changed after their segment was written, whole rows: they stand in the place of the segment's row of
-- the same seq. `revision` is the batch that wrote it. Merging a segment takes its amendments into the new file.
CREATE TABLE _ledger.amendment (
    revision BIGINT NOT NULL,
    seq BIGINT NOT NULL,
    org_id VARCHAR NOT NULL,
    trace_id VARCHAR NOT NULL,
    span_id VARCHAR NOT NULL,
    parent_span_id VARCHAR,
    name VARCHAR,
    service_name VARCHAR,
    start_time TIMESTAMP_NS NOT NULL,
    end_time TIMESTAMP_NS NOT NULL,
    status_code TINYINT,
    call_kind VARCHAR NOT NULL,
    dialect VARCHAR,
    operation VARCHAR,
    provider VARCHAR,
    model VARCHAR,
    request_model VARCHAR,
    response_model VARCHAR,
    response_id VARCHAR,
    service_tier VARCHAR,
    input_tokens BIGINT,
    output_tokens BIGINT,
    cache_read_tokens BIGINT,
    cache_write_tokens BIGINT,
    output_reasoning_tokens BIGINT,
    usage_json VARCHAR,
    cost_usd DECIMAL(18, 12),
    cost_status VARCHAR,
    cost_reason VARCHAR,
    card VARCHAR,
    rate_row VARCHAR,
    reported_cost_usd DECIMAL(18, 12),
    reported_by_provider BOOLEAN NOT NULL,
    failed BOOLEAN NOT NULL,
    flags BIGINT NOT NULL,
    counted BOOLEAN NOT NULL,
    not_counted_reason VARCHAR,
    duplicate_of VARCHAR,
    run VARCHAR,
    agent VARCHAR,
    customer VARCHAR,
    feature VARCHAR,
    team VARCHAR,
    "user" VARCHAR,
    project VARCHAR,
    environment VARCHAR,
    conversation VARCHAR,
    attempt INTEGER NOT NULL,
    retry_of VARCHAR,
    wasted BOOLEAN NOT NULL
);

-- Large traces that got spans since they were last judged as a whole.
CREATE TABLE _ledger.waiting_trace (org_id VARCHAR NOT NULL, trace_id VARCHAR NOT NULL);

-- The amendments of lost segments, which would else count without their rows.
CREATE TABLE _ledger.lost_amendment AS FROM _ledger.amendment;

-- Spans removed by retention: with the segments they add up to what the batches promise.
CREATE TABLE _ledger.expiry (
    expired_at TIMESTAMP NOT NULL,
    org_id VARCHAR NOT NULL,
    spans BIGINT NOT NULL,
    cost_usd DECIMAL(38, 12) NOT NULL,
    reason VARCHAR NOT NULL
);

-- Spans that came again with other content: the first one is kept, the money with it.
CREATE TABLE _ledger.changed_resend (
    seen_at TIMESTAMP NOT NULL,
    org_id VARCHAR NOT NULL,
    trace_id VARCHAR NOT NULL,
    span_id VARCHAR NOT NULL,
    changed VARCHAR NOT NULL, -- names of the columns that differ, comma-separated
    cost_usd DECIMAL(18, 12) -- of what was kept out
);

-- Rate cards that priced something here, one row per rate.
CREATE TABLE _ledger.price_row (
    card VARCHAR NOT NULL,
    first_seen_at TIMESTAMP NOT NULL,
    rate_row VARCHAR,
    provider VARCHAR,
    model VARCHAR,
    variant VARCHAR,
    region VARCHAR,
    unit VARCHAR,
    input_tokens_above BIGINT,
    rate_pico_usd BIGINT,
    per BIGINT,
    "explicit" BOOLEAN,
    valid_from TIMESTAMP,
    valid_to TIMESTAMP,
    source VARCHAR
);

CREATE TABLE _ledger.budget (
    org_id VARCHAR NOT NULL,
    budget VARCHAR NOT NULL,
    scope VARCHAR,
    scope_value VARCHAR,
    period VARCHAR,
    period_start TIMESTAMP,
    limit_usd DECIMAL(38, 12),
    spent_usd DECIMAL(38, 12),
    state VARCHAR
);

CREATE TABLE _ledger.budget_event (
    org_id VARCHAR NOT NULL,
    budget VARCHAR NOT NULL,
    scope_value VARCHAR,
    happened_at TIMESTAMP NOT NULL,
    event VARCHAR NOT NULL,
    spent_usd DECIMAL(38, 12),
    limit_usd DECIMAL(38, 12),
    detail VARCHAR
);
