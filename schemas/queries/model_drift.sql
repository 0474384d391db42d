-- Which features and scores have moved away from the model's training, on the newest day
SELECT day, model_version, name, round(psi, 3) AS psi, state, rows
FROM drift
WHERE day = (SELECT max(day) FROM drift)
ORDER BY psi DESC NULLS LAST, model_version, name
