CREATE OR REPLACE VIEW {{.View}} AS
SELECT part.1 AS window, part.2 AS days, part.3 AS viewers, part.4 AS carters, part.5 AS buyers,
    round(carters / nullIf(viewers, 0), 4) AS view_to_cart, round(buyers / nullIf(carters, 0), 4) AS cart_to_purchase
FROM
(
    SELECT arrayJoin([
{{- range $i, $w := windows}}{{if $i}},{{end}}
        ('{{$w.Name}}', intDiv({{$w.Length.Hours}}, 24), countIf(product_views_{{$w.Name}} > 0), countIf(product_views_{{$w.Name}} > 0 AND cart_adds_{{$w.Name}} > 0),
            countIf(product_views_{{$w.Name}} > 0 AND cart_adds_{{$w.Name}} > 0 AND orders_{{$w.Name}} > 0))
{{- end}}
    ]) AS part
    FROM {{.Source}}.profiles FINAL
)
COMMENT 'By window before each profile''s moment: customers who viewed a product, of these put something into the cart, of these bought'
