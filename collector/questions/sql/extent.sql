-- First and last start of the chosen calls.
SELECT min(first_ns) AS first_ns, max(last_ns) AS last_ns
FROM facts
