-- Customers whose texts are nearest to one customer's, by the cosine of their embeddings
-- user = customer-0007
-- limit = 6
WITH (SELECT embedding FROM profiles_latest WHERE user_id = {user:String}) AS wanted
SELECT user_id, 1 - toFloat64(cosineDistance(embedding, wanted)) AS similarity, toFloat64(churn_probability) AS churn_probability, churn_band,
    toFloat64(value_expected) AS value_expected, value_band, mapKeys(interests)[1] AS interest
FROM profiles_latest
WHERE user_id != {user:String} AND notEmpty(embedding) AND length(embedding) = length(wanted)
ORDER BY similarity DESC, user_id
LIMIT {limit:UInt16}
