-- How far the scores have moved from the model's training, by day: under 0.1 steady, from 0.25 shifted
SELECT toDateTime(day) AS time, concat(name, ', ', model_version) AS series, assumeNotNull(psi) AS psi
FROM drift
WHERE name IN ('churn_probability', 'value_expected') AND psi IS NOT NULL
ORDER BY time
