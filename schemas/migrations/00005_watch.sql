-- +goose Up
CREATE TABLE IF NOT EXISTS drift_rows
(
    `day` Date COMMENT 'Day at whose end the customers are compared',
    `model_version` LowCardinality(String) COMMENT 'Of the customers that are compared',
    `name` LowCardinality(String) COMMENT 'Feature, or churn_probability, or value_expected',
    `psi` Nullable(Float64) COMMENT 'Population stability index against the rows the model was trained on; NULL: not known, too few rows or a bundle without a reference',
    `rows` UInt64 COMMENT 'Customers of the model_version',
    `edges` Array(Float64) COMMENT 'Between the bins, rising: x is in bin k if edges[k-1] < x <= edges[k]; times as days before as_of',
    `expected` Array(Float64) COMMENT 'Share of the training rows by bin, then of missing values',
    `actual` Array(Float64) COMMENT 'Share of the customers by bin, then of missing values',
    `computed_at` DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC') COMMENT 'Newest wins'
)
ENGINE = ReplacingMergeTree(computed_at)
ORDER BY (model_version, day, name)
COMMENT 'How far the customers are from those the model was trained on. Read it through drift.';

CREATE TABLE IF NOT EXISTS model_quality_rows
(
    `week` Date COMMENT 'Monday of the week in which the customers were scored',
    `model_version` LowCardinality(String) COMMENT 'That scored them',
    `horizon_days` UInt16 COMMENT 'How far the labels look ahead',
    `rows` UInt64 COMMENT 'Customers, each by the newest day row of the week',
    `churned` UInt64 COMMENT 'Of them without a purchase within the horizon',
    `mean_probability` Float64 COMMENT 'Mean churn_probability',
    `roc_auc` Nullable(Float64) COMMENT 'Of churn_probability; NULL where all or none churned',
    `brier` Float64 COMMENT 'Mean squared error of churn_probability',
    `ece` Float64 COMMENT 'Expected calibration error over ten equal bins of probability',
    `mean_value` Float64 COMMENT 'Mean value_expected',
    `mean_spent` Float64 COMMENT 'Mean of what was spent within the horizon, refunds taken off, at least 0 each',
    `computed_at` DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC') COMMENT 'Newest wins'
)
ENGINE = ReplacingMergeTree(computed_at)
ORDER BY (model_version, week)
COMMENT 'How good scores turned out to be, once their horizon had passed. Read it through model_quality.';

CREATE TABLE IF NOT EXISTS shadow_move_rows
(
    `candidate` String COMMENT 'Id of the bundle that was tried',
    `current` String COMMENT 'Id of the bundle it was compared with',
    `day` Date COMMENT 'Customers as of the end of this day',
    `kind` LowCardinality(String) COMMENT 'churn_band, value_band or segment (both)',
    `from_band` LowCardinality(String) COMMENT 'As the current bundle says',
    `to_band` LowCardinality(String) COMMENT 'As the candidate says',
    `users` UInt64 COMMENT 'Customers',
    `churn_current` Float64 COMMENT 'Sum of their churn_probability, current bundle',
    `churn_candidate` Float64 COMMENT 'The same, candidate',
    `value_current` Float64 COMMENT 'Sum of their value_expected, current bundle',
    `value_candidate` Float64 COMMENT 'The same, candidate',
    `computed_at` DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC') COMMENT 'Newest wins'
)
ENGINE = ReplacingMergeTree(computed_at)
ORDER BY (candidate, current, day, kind, from_band, to_band)
COMMENT 'How customers would move with another model, by profilectl model shadow. Read it through shadow_moves.';

-- +goose Down
DROP TABLE IF EXISTS shadow_move_rows;

DROP TABLE IF EXISTS model_quality_rows;

DROP TABLE IF EXISTS drift_rows;
