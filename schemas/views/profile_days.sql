CREATE OR REPLACE VIEW {{.View}} AS
SELECT {{rowColumns}}
FROM {{.Source}}.profile_history FINAL
SETTINGS do_not_merge_across_partitions_select_final = 1
COMMENT 'The profile of every user at the end of each due day, corrections included, of the promoted run'
