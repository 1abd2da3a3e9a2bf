-- What is summed of the chosen calls: from sums of whole days or hours, or from rows of calls.
SELECT
    {columns}
FROM {calls} AS calls
WHERE {where}
