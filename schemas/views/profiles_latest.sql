CREATE OR REPLACE VIEW {{.View}} AS
SELECT {{rowColumns}}
FROM {{.Source}}.profiles FINAL
COMMENT 'The current profile of every user of the promoted run'
