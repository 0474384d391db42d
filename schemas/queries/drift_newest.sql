-- Features and scores that moved most away from the training rows, on the newest day of each model
-- limit = 15
SELECT name, model_version, day, psi, state, rows
FROM drift
WHERE (model_version, day) IN (SELECT model_version, max(day) FROM drift GROUP BY model_version) AND psi IS NOT NULL
ORDER BY psi DESC, name
LIMIT {limit:UInt16}
