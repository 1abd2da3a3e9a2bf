-- What is summed of the chosen calls of whole days or hours, in the columns of facts.
SELECT
    {names}
    calls.* EXCLUDE (org_id, {times})
FROM {sums} AS calls
WHERE {where}
