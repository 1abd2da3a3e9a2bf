-- What there is at all, for a report that found nothing.
SELECT
    (SELECT count(*) FROM spans) AS spans,
    (SELECT count(*) FROM calls) AS calls,
    (SELECT min(start_time) FROM calls) AS first_call,
    (SELECT max(start_time) FROM calls) AS last_call
