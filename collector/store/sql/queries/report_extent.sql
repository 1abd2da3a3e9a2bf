-- What there is at all, for a report that found nothing.
SELECT
    (SELECT count(*) FROM spans) AS spans,
    (SELECT count(*) FROM calls) AS calls,
    (SELECT CAST(min(start_time) AS TIMESTAMP) FROM calls) AS first_call,
    (SELECT CAST(max(start_time) AS TIMESTAMP) FROM calls) AS last_call
