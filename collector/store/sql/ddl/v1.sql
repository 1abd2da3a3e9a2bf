-- Version 1 of the _ledger. No key, no index, no UPDATE on any of these tables: a key triples the file, and an
-- update plus one open reader stops every checkpoint. Times are naive UTC, money is DECIMAL in USD.
CREATE SCHEMA _ledger;

CREATE TABLE _ledger.schema_version (version INTEGER NOT NULL, applied_at TIMESTAMP NOT NULL, program VARCHAR NOT NULL);

-- Which texts the public views were made from.
CREATE TABLE _ledger.view_digest (digest VARCHAR NOT NULL);

-- One row per committed batch, in the same transaction: what the ledger must contain.
CREATE TABLE _ledger.batch (
    batch BIGINT NOT NULL,
    first_seq BIGINT NOT NULL,
    spans BIGINT NOT NULL,
    cost_usd DECIMAL(38, 12) NOT NULL,
    committed_at TIMESTAMP NOT NULL
);

-- Every span, once, in order of arrival; rows are never changed.
CREATE TABLE _ledger.span_log (
    seq BIGINT NOT NULL,
    org_id VARCHAR NOT NULL,
    trace_id VARCHAR NOT NULL,
    span_id VARCHAR NOT NULL,
    parent_span_id VARCHAR,
    trace_state VARCHAR,
    name VARCHAR,
    kind TINYINT,
    start_time TIMESTAMP_NS NOT NULL,
    end_time TIMESTAMP_NS NOT NULL,
    status_code TINYINT,
    status_message VARCHAR,
    scope_name VARCHAR,
    scope_version VARCHAR,
    service_name VARCHAR,
    events VARCHAR,
    links VARCHAR,
    dropped_attributes_count INTEGER NOT NULL,
    call_kind VARCHAR,
    dialect VARCHAR,
    operation VARCHAR,
    provider VARCHAR,
    request_model VARCHAR,
    response_model VARCHAR,
    response_id VARCHAR,
    service_tier VARCHAR,
    reported_cost_usd DECIMAL(18, 12),
    reported_by_provider BOOLEAN NOT NULL,
    failed BOOLEAN NOT NULL,
    run VARCHAR,
    agent VARCHAR,
    customer VARCHAR,
    feature VARCHAR,
    team VARCHAR,
    "user" VARCHAR,
    project VARCHAR,
    environment VARCHAR,
    conversation VARCHAR,
    resource_run VARCHAR,
    resource_agent VARCHAR,
    resource_customer VARCHAR,
    resource_feature VARCHAR,
    resource_team VARCHAR,
    resource_user VARCHAR,
    resource_project VARCHAR,
    resource_environment VARCHAR,
    resource_conversation VARCHAR,
    input_tokens BIGINT,
    output_tokens BIGINT,
    cache_read_tokens BIGINT,
    cache_write_tokens BIGINT,
    output_reasoning_tokens BIGINT,
    usage_json VARCHAR,
    model VARCHAR,
    cost_usd DECIMAL(18, 12),
    cost_status VARCHAR,
    cost_reason VARCHAR,
    card VARCHAR,
    rate_row VARCHAR,
    flags BIGINT NOT NULL,
    attributes VARCHAR NOT NULL,
    resource VARCHAR NOT NULL
);

-- Every span that is a call or a wrapper of one, with what its whole trace says of it. A row whose attribution
-- changes is deleted and inserted again with a new revision (the batch that wrote it).
CREATE TABLE _ledger.call_log (
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

-- Rows that left call_log, so that a sealed segment which still holds them can be read without them.
CREATE TABLE _ledger.call_retraction (seq BIGINT NOT NULL, revision BIGINT NOT NULL, retracted_in BIGINT NOT NULL);

-- Sealed Parquet files: rows of span_log by seq, of call_log by revision, both ends included.
CREATE TABLE _ledger.segment (
    source VARCHAR NOT NULL,
    first_key BIGINT NOT NULL,
    last_key BIGINT NOT NULL,
    as_of_batch BIGINT NOT NULL,
    row_count BIGINT NOT NULL,
    file VARCHAR NOT NULL,
    retired_at TIMESTAMP
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
