-- What is summed of the chosen calls of whole days, in the columns of facts.
SELECT
    {names}
    calls.* EXCLUDE (org_id, day)
FROM {sums} AS calls
WHERE {where}
