-- Sums of calls per local day, of whole segments: `part` is one segment as one state of the amendments leaves it.
CREATE TABLE part (
    part INTEGER NOT NULL,
    file VARCHAR NOT NULL,
    amended VARCHAR NOT NULL -- digest of the amendments that speak of it
);

-- Combinations of the names that have few values.
CREATE TABLE combination (
    combination UBIGINT NOT NULL, -- hash of the rest
    org_id VARCHAR NOT NULL,
    {few} VARCHAR
);

-- The same sums of whole months: of a year, a tenth as many.
CREATE TABLE months (part INTEGER NOT NULL, month INTEGER NOT NULL, combination UBIGINT NOT NULL, {sums});

CREATE TABLE few (part INTEGER NOT NULL, day INTEGER NOT NULL, combination UBIGINT NOT NULL, {sums});

CREATE TABLE many (part INTEGER NOT NULL, day INTEGER NOT NULL, org_id VARCHAR NOT NULL, {many} VARCHAR, {sums});

CREATE TABLE rated (part INTEGER NOT NULL, day INTEGER NOT NULL, org_id VARCHAR NOT NULL, {rated} VARCHAR, {sums});

-- Runs of each day and owner: what counts distinct runs.
CREATE TABLE ran (part INTEGER NOT NULL, day INTEGER NOT NULL, org_id VARCHAR NOT NULL, {owners} VARCHAR, execution UBIGINT NOT NULL);

-- The same of each day and model.
CREATE TABLE ran_on (part INTEGER NOT NULL, day INTEGER NOT NULL, org_id VARCHAR NOT NULL, {models} VARCHAR, execution UBIGINT NOT NULL);

CREATE TABLE whole (part INTEGER NOT NULL, day INTEGER NOT NULL, hour BIGINT NOT NULL, org_id VARCHAR NOT NULL, {sums});

-- The calls of each day that have the longest outputs.
CREATE TABLE long (
    part INTEGER NOT NULL,
    day INTEGER NOT NULL,
    org_id VARCHAR NOT NULL,
    trace_id VARCHAR NOT NULL,
    span_id VARCHAR NOT NULL,
    agent VARCHAR,
    model VARCHAR,
    output_tokens BIGINT NOT NULL,
    cost_usd DECIMAL(38, 12),
    start_ns BIGINT NOT NULL
)
