#!/bin/sh
# Runs once, when the server's volume is new: the roles of grants.sql and one user each for the sink and Grafana.
set -eu
password=$(cat /run/secrets/clickhouse_password)
run() { clickhouse-client --user admin --password "$password" "$@"; }
run --multiquery </etc/profilestream/grants.sql
for pair in sink:writer grafana:reader; do
  user=profilestream_${pair%%:*} role=profilestream_${pair##*:}
  run --query "CREATE USER IF NOT EXISTS $user IDENTIFIED WITH sha256_password BY '$password' DEFAULT ROLE $role"
  run --query "GRANT $role TO $user"
done
