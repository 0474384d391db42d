-- Share of each month's new customers with an event one to six months later
SELECT cohort, max(r.customers) AS customers, maxIf(retained, months_after = 1) AS month_1, maxIf(retained, months_after = 2) AS month_2,
    maxIf(retained, months_after = 3) AS month_3, maxIf(retained, months_after = 4) AS month_4, maxIf(retained, months_after = 5) AS month_5,
    maxIf(retained, months_after = 6) AS month_6
FROM cohort_retention AS r
GROUP BY cohort
ORDER BY cohort
