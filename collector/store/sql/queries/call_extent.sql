-- What is not sealed after $1: last revision, rows; its texts are short, so it is one piece however large $2 is.
SELECT max(revision), count(*), 0 * $2
FROM _ledger.call_log
WHERE revision > $1
HAVING count(*) > 0
