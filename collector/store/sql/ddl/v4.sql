-- Version 4 adds budgets. Amounts are whole numbers of a rule's unit: pico-USD, tokens or calls. Times that must come back as
-- they were are nanoseconds since 1970 UTC.

-- What is added to counters, in the transaction of the spans that add it: all rows of a key together are the counter.
-- They are added up now and then. `window_start_ns` is 0 of runs and totals, and of rolling windows that of a bucket.
CREATE TABLE _ledger.budget_counter (
    org_id VARCHAR NOT NULL,
    budget VARCHAR NOT NULL, -- name of the rule
    scope_value VARCHAR NOT NULL,
    window_start_ns BIGINT NOT NULL,
    cost_usd DECIMAL(38, 12) NOT NULL,
    tokens DECIMAL(38, 0) NOT NULL,
    calls BIGINT NOT NULL,
    unpriced_calls BIGINT NOT NULL
);

-- Rules whose counters are those of all calls in the ledger, and what is counted. Whoever commits calls without moving the
-- counters removes these rows in the same transaction; the rules are counted anew then.
CREATE TABLE _ledger.budget_counted (
    budget VARCHAR NOT NULL,
    definition VARCHAR NOT NULL, -- JSON: the rule as a config writes it
    counting VARCHAR NOT NULL, -- JSON: all that decides which calls count, and how
    since_ns BIGINT NOT NULL, -- events from then on are of this way of counting
    worst_input_pico_usd BIGINT NOT NULL, -- of a token without a price
    worst_output_pico_usd BIGINT NOT NULL,
    scope VARCHAR NOT NULL, -- dimensions, comma-separated
    period VARCHAR NOT NULL,
    rolling_ns BIGINT NOT NULL, -- 0 unless the window is a rolling one
    unit VARCHAR NOT NULL,
    limit_amount DECIMAL(38, 0) NOT NULL,
    warn_ppm BIGINT NOT NULL -- the lowest threshold
);

-- What version 2 has of an event is enough to show it; this is what finds and repeats it.
ALTER TABLE _ledger.budget_event ADD COLUMN event_id VARCHAR;
ALTER TABLE _ledger.budget_event ADD COLUMN happened_at_ns BIGINT;
ALTER TABLE _ledger.budget_event ADD COLUMN window_start_ns BIGINT;
ALTER TABLE _ledger.budget_event ADD COLUMN threshold_ppm BIGINT;
ALTER TABLE _ledger.budget_event ADD COLUMN spent DECIMAL(38, 0);
ALTER TABLE _ledger.budget_event ADD COLUMN limit_amount DECIMAL(38, 0);
ALTER TABLE _ledger.budget_event ADD COLUMN unit VARCHAR;

-- Who is told of events. An event without a row here has not been looked at yet.
CREATE TABLE _ledger.budget_delivery (
    id VARCHAR NOT NULL, -- 32 hex digits
    event_id VARCHAR NOT NULL,
    channel VARCHAR NOT NULL, -- as in the config; '' when nobody is told
    state VARCHAR NOT NULL, -- pending, delivered, dead
    attempts BIGINT NOT NULL,
    created_at_ns BIGINT NOT NULL,
    next_try_at_ns BIGINT NOT NULL,
    give_up_at_ns BIGINT NOT NULL,
    tried_at_ns BIGINT, -- the last time
    last_error VARCHAR
);

-- Requests to raise a limit.
CREATE TABLE _ledger.budget_approval (
    ticket VARCHAR NOT NULL,
    org_id VARCHAR NOT NULL,
    budget VARCHAR NOT NULL,
    scope_value VARCHAR NOT NULL,
    window_start_ns BIGINT NOT NULL, -- 0 of rolling windows
    unit VARCHAR NOT NULL,
    limit_amount DECIMAL(38, 0) NOT NULL, -- when it was asked
    spent DECIMAL(38, 0) NOT NULL, -- when it was asked
    asked_at_ns BIGINT NOT NULL,
    asked_by VARCHAR NOT NULL,
    ends_at_ns BIGINT NOT NULL, -- an open ticket expires then
    state VARCHAR NOT NULL, -- open, approved, denied, expired
    decided_at_ns BIGINT,
    decided_by VARCHAR,
    note VARCHAR,
    raise_amount DECIMAL(38, 0),
    raise_ends_at_ns BIGINT
);

-- Rules that were made at run time. A rule that is gone keeps its row.
CREATE TABLE _ledger.budget_rule (
    name VARCHAR NOT NULL,
    definition VARCHAR NOT NULL, -- JSON
    created_at_ns BIGINT NOT NULL,
    created_by VARCHAR NOT NULL,
    changed_at_ns BIGINT NOT NULL,
    changed_by VARCHAR NOT NULL,
    deleted_at_ns BIGINT -- NULL: it is in force
);

-- Who changed what. Rows are only ever added.
CREATE TABLE _ledger.budget_audit (
    at_ns BIGINT NOT NULL,
    actor VARCHAR NOT NULL,
    action VARCHAR NOT NULL,
    subject VARCHAR NOT NULL, -- name of a rule, or a ticket
    before VARCHAR, -- JSON; NULL: there was none
    after VARCHAR -- JSON; NULL: there is none any more
);
