CREATE OR REPLACE VIEW {{.View}} AS
SELECT {{rowColumns}}
FROM {{.Source}}.profile_history FINAL
WHERE trigger != 'correction' AND (user_id, as_of) NOT IN (SELECT user_id, as_of FROM {{.Source}}.restatement_rows WHERE trigger != 'correction')
UNION ALL
SELECT {{rowColumns}}
FROM
(
    SELECT *, CAST([], 'Array(Float32)') AS embedding
    FROM {{.Source}}.restatement_rows FINAL
    WHERE trigger != 'correction'
    ORDER BY user_id, as_of, log_offset, row_version DESC
    LIMIT 1 BY user_id, as_of
)
SETTINGS do_not_merge_across_partitions_select_final = 1
COMMENT 'Day rows as they were first reported, before any correction; profile_days shows them as corrected'
