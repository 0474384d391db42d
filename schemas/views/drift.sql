CREATE OR REPLACE VIEW {{.View}} AS
SELECT
    day, model_version, name, psi,
    multiIf(psi IS NULL, 'unknown', psi >= 0.25, 'shifted', psi >= 0.1, 'moved', 'steady') AS state,
    rows, edges, expected, actual, computed_at
FROM {{.Source}}.drift_rows FINAL
COMMENT 'Population stability index of each feature and score by day and model_version; from 0.25 on the population is another'
