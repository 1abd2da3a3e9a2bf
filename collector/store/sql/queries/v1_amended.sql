-- Where the calls gather whose row says more than their span.
CREATE OR REPLACE TEMP TABLE v1_amended AS
SELECT * FROM _ledger.call_log LIMIT 0
