CREATE OR REPLACE VIEW {{.View}} AS
SELECT
    user_id, as_of, log_partition, log_offset, kafka_time, restated_at,
    old_churn_probability, new_churn_probability, old_churn_band, new_churn_band,
    old_value_expected, new_value_expected, old_events_total, new_events_total, old_orders_total, new_orders_total,
    old_revenue_total, new_revenue_total, old_revenue_90d, new_revenue_90d, old_model_version, new_model_version,
    old_log_offset, old_digest, new_digest
FROM
(
    SELECT
        r.user_id AS user_id, r.as_of AS as_of, r.log_partition AS log_partition, r.log_offset AS log_offset,
        r.kafka_time AS kafka_time, r.scored_at AS restated_at, r.trigger AS caused_by,
{{- range $i, $c := restated}}{{if $i}},{{end}}
        lagInFrame(toNullable({{$c.Value}})) OVER w AS old_{{$c.Name}}, {{$c.Value}} AS new_{{$c.Name}}
{{- end}},
        lagInFrame(toNullable(r.log_offset)) OVER w AS old_log_offset
    FROM
    (
        SELECT * FROM {{.Source}}.restatement_rows FINAL
        ORDER BY user_id, as_of, log_offset, row_version DESC
        LIMIT 1 BY user_id, as_of, log_offset
    ) AS r
    WINDOW w AS (PARTITION BY r.user_id, r.as_of ORDER BY r.log_offset ROWS BETWEEN 1 PRECEDING AND CURRENT ROW)
)
WHERE caused_by = 'correction'
COMMENT 'Every correction of a day row: old and new value, and the place in the event log of the event that caused it; NULL where no row was there before'
