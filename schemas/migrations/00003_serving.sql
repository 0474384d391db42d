-- +goose Up
CREATE TABLE IF NOT EXISTS serving
(
    `promoted_at` DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC') COMMENT 'When the run was promoted',
    `run` String COMMENT 'Name of the run',
    `database` String COMMENT 'Database of the run, which the views of this one show from then on'
)
ENGINE = MergeTree
ORDER BY promoted_at
COMMENT 'Promotions, newest last; without one the views show the database they are in.';

-- +goose Down
DROP TABLE IF EXISTS serving;
