-- +goose Up
CREATE TABLE IF NOT EXISTS restatement_rows
(
{{- template "row_head"}}
{{featureColumns}}
{{- template "row_tail"}}
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(as_of)
ORDER BY (user_id, as_of, row_version)
COMMENT 'Every correction of a day row, and the row that the first one replaced. Read it through restatements.';

CREATE TABLE IF NOT EXISTS configurations
(
    `config_version` String COMMENT 'Hash of the settings that decide the features, as in the rows',
    `key` LowCardinality(String) COMMENT 'Key of the configuration, or the feature list of the code',
    `value` String COMMENT 'Its value'
)
ENGINE = ReplacingMergeTree
ORDER BY (config_version, key)
COMMENT 'What each config_version of the rows stands for.';

-- +goose Down
DROP TABLE IF EXISTS configurations;

DROP TABLE IF EXISTS restatement_rows;
