-- Least rights for each reader and writer. Replace profilestream by your clickhouse.database.
-- The star covers the databases of other runs: profilestream_<run>.

-- bin/sink and profilectl migrate: make and extend the tables, replace the views, insert, read their own tables.
CREATE ROLE IF NOT EXISTS profilestream_writer;
GRANT CREATE DATABASE, CREATE TABLE, CREATE VIEW, DROP VIEW, SELECT, INSERT ON profilestream*.* TO profilestream_writer;
GRANT ALTER ADD COLUMN, ALTER MODIFY COLUMN, ALTER ORDER BY, ALTER COMMENT COLUMN, ALTER DELETE ON profilestream*.* TO profilestream_writer;
-- A refresh of a summary fills a table of its own, puts it in the old one's place and drops that, with the rights of who made it.
GRANT DROP TABLE, SYSTEM VIEWS ON profilestream*.* TO profilestream_writer;
GRANT SELECT ON system.view_refreshes TO profilestream_writer;

-- profilectl run retire: drop the database of a retired run. Give it to people, not to processes.
CREATE ROLE IF NOT EXISTS profilestream_admin;
GRANT profilestream_writer TO profilestream_admin;
GRANT DROP DATABASE, TRUNCATE ON profilestream*.* TO profilestream_admin;

-- Grafana and people: read, within limits.
CREATE ROLE IF NOT EXISTS profilestream_reader;
GRANT SELECT ON profilestream*.* TO profilestream_reader;
CREATE SETTINGS PROFILE IF NOT EXISTS profilestream_reading SETTINGS readonly = 2, max_execution_time = 30, max_memory_usage = 2000000000 TO profilestream_reader;
