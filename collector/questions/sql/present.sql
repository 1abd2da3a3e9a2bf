-- Which columns any of the chosen calls says.
SELECT
    {present}
FROM chosen
