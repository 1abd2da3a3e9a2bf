-- First and last start of the chosen calls.
SELECT epoch_ns(min(start_time)) AS first_ns, epoch_ns(max(start_time)) AS last_ns
FROM chosen
