-- +goose Up
CREATE TABLE IF NOT EXISTS profiles
(
{{- template "row_head"}}
{{featureColumns}}
    `embedding` Array(Float32) COMMENT 'Text embedding, unit length; empty if degraded' CODEC(NONE),
{{- template "row_tail"}}
)
ENGINE = ReplacingMergeTree(row_version)
ORDER BY user_id
SETTINGS index_granularity = 2048
COMMENT 'Live rows: one current profile a user. Read it through profiles_latest.';

CREATE TABLE IF NOT EXISTS profile_history
(
{{- template "row_head"}}
{{featureColumns}}
    `embedding` Array(Float32) COMMENT 'Empty unless clickhouse.history_embedding' CODEC(NONE),
{{- template "row_tail"}}
)
ENGINE = ReplacingMergeTree(row_version)
PARTITION BY toYYYYMM(as_of)
ORDER BY (user_id, as_of)
COMMENT 'Day rows: what was known of a user at the end of each due day. Read it through profile_days.';

-- +goose Down
DROP TABLE IF EXISTS profile_history;

DROP TABLE IF EXISTS profiles;
