-- How far one feature or score has moved from the model's training, day by day
-- name = churn_probability
SELECT day, model_version, round(psi, 3) AS psi, state, rows
FROM drift
WHERE name = {name:String}
ORDER BY day, model_version
