-- What a candidate model would change in all, by the day it was tried on
SELECT candidate, current, day, sum(users) AS customers,
    round(sumIf(users, from_band != to_band) / sum(users), 3) AS churn_band_moves, round(sum(churn_current) / sum(users), 4) AS churn_current, round(sum(churn_candidate) / sum(users), 4) AS churn_candidate,
    round(sum(value_current)) AS value_current, round(sum(value_candidate)) AS value_candidate
FROM shadow_moves
WHERE kind = 'churn_band'
GROUP BY candidate, current, day
ORDER BY day DESC
LIMIT 30
