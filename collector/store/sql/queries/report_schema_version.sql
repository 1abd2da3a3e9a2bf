-- Which views the published file has.
SELECT schema_version FROM publication
