-- When the published file was last refreshed, in UTC.
SELECT published_at FROM publication
