-- How many customers a candidate model would move between bands, on the newest day it was tried on
SELECT candidate, current, day, kind, from_band, to_band, users
FROM shadow_moves
WHERE (candidate, current, day) IN (SELECT candidate, current, max(day) FROM shadow_moves GROUP BY candidate, current) AND from_band != to_band
ORDER BY users DESC
LIMIT 50
