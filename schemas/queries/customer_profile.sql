-- One customer's current profile, every column but the embedding
-- user = customer-0007
SELECT * EXCEPT (embedding), notEmpty(embedding) AS has_embedding
FROM profiles_latest
WHERE user_id = {user:String}
