-- Prices, then what a publication copies, in that order.
SELECT
    (SELECT count(*) FROM _ledger.price_row),
    (SELECT count(*) FROM _ledger.amendment),
    (SELECT count(*) FROM _ledger.price_run),
    (SELECT count(*) FROM _ledger.budget),
    (SELECT count(*) FROM _ledger.budget_event),
    (SELECT count(*) FROM _ledger.budget_counter),
    (SELECT count(*) FROM _ledger.budget_counted),
    (SELECT count(*) FROM _ledger.budget_approval),
    (SELECT count(*) FROM _ledger.changed_resend)
