-- Price runs that what calls cost now rests on.
SELECT count(*) AS runs FROM price_runs WHERE undone_at IS NULL
