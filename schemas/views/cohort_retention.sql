CREATE OR REPLACE VIEW {{.View}} AS
SELECT cohort, month, dateDiff('month', cohort, month) AS months_after,
    max(m.customers) OVER (PARTITION BY cohort) AS customers, active, buyers, orders, revenue,
    round(active / customers, 4) AS retained, round(buyers / customers, 4) AS buying, refreshed_at
FROM {{.Source}}.cohort_months AS m
COMMENT 'By month of first sight and month after it: who came back, who bought, for how much; the last month is not over'
