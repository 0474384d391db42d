-- One customer's newest day row that is at least a week older than the current profile
-- user = customer-0007
SELECT * EXCEPT (embedding)
FROM profile_days
WHERE user_id = {user:String} AND as_of <= (SELECT as_of FROM profiles_latest WHERE user_id = {user:String}) - INTERVAL 7 DAY
ORDER BY as_of DESC
LIMIT 1
