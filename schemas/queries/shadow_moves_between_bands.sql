-- How customers would move between bands with a candidate model, on the newest day it was tried on
-- kind = churn_band
SELECT candidate, current, day, from_band, to_band, users, round(users / sum(users) OVER (PARTITION BY candidate, current, from_band), 4) AS share,
    round(churn_current / users, 4) AS churn_current, round(churn_candidate / users, 4) AS churn_candidate
FROM shadow_moves
WHERE kind = {kind:String} AND (candidate, current, day) IN (SELECT candidate, current, max(day) FROM shadow_moves GROUP BY candidate, current)
ORDER BY candidate, current, from_band, to_band
