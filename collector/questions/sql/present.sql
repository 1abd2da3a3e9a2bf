-- Which of some names any of the chosen calls says.
SELECT
    {present}
FROM facts
