-- Numbers of the first and last of the chosen calls.
SELECT min(chosen.seq) AS first_seq, max(chosen.seq) AS last_seq
FROM chosen
