-- Who came back and who bought, by month of first sight and months after it
SELECT cohort, months_after, customers, active, buyers, toFloat64(revenue) AS revenue, retained, buying
FROM cohort_retention
ORDER BY cohort, months_after
