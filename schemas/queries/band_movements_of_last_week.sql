-- From which churn band to which customers went in the newest complete week
SELECT if(was_churn = '', 'new', was_churn) AS was, churn_band AS became, sum(m.customers) AS customers, sum(m.expected) AS expected
FROM band_movements AS m
WHERE week = (SELECT max(week) FROM band_movements WHERE week + 6 <= (SELECT max(day) FROM revenue_at_risk))
GROUP BY was, became
ORDER BY was, became
