#!/usr/bin/env bash
# PostgreSQL 15.18 (Debian's package postgresql-15): a commit that waits for a synchronous standby keeps its connection after
# its client was killed, and neither client_connection_check_interval, statement_timeout nor
# idle_in_transaction_session_timeout ends it. Such connections can add up.
# Seen, five seconds after the client's death, with all three set to one second or less: `active|SyncRep`.
# Expected by most: the server notices within client_connection_check_interval and ends the session.
set -euo pipefail
programs=/usr/lib/postgresql/15/bin
folder=$(mktemp -d)
server() {
    if [ "$(id -u)" = 0 ]; then runuser -u postgres -- "$@"; else "$@"; fi
}
end() {
    server "$programs/pg_ctl" -D "$folder/data" -m immediate -w stop >/dev/null || true
    rm -rf "$folder"
}
trap end EXIT
[ "$(id -u)" != 0 ] || chown postgres "$folder"
cd "$folder"
server "$programs/initdb" -D "$folder/data" -U postgres -A trust >/dev/null
settings="-c listen_addresses= -c unix_socket_directories=$folder -c synchronous_standby_names=nobody"
settings="$settings -c client_connection_check_interval=100ms -c statement_timeout=1s -c idle_in_transaction_session_timeout=1s"
server "$programs/pg_ctl" -D "$folder/data" -l "$folder/log" -w -o "$settings" start >/dev/null
psql=("$programs/psql" -XAtq "host=$folder user=postgres dbname=postgres" -c)
ask() {
    "${psql[@]}" "$1"
}
"$programs/postgres" --version
ask "set synchronous_commit = local; create table t (i int)"
"${psql[@]}" "insert into t values (1)" 2>/dev/null &
client=$!
waits="select state, wait_event from pg_stat_activity where query like 'insert%'"
until [ "$(ask "$waits")" = "active|SyncRep" ]; do sleep 0.1; done
kill -9 "$client"
wait "$client" 2>/dev/null || true
sleep 5
seen=$(ask "$waits")
echo "five seconds after the client was killed: ${seen:-gone}"
[ "$seen" = "active|SyncRep" ]
