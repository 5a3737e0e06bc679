#!/usr/bin/env bash
# PostgreSQL and a commit that waits for a synchronous standby that is down.
#
# 1. When the wait is canceled (pg_cancel_backend), COMMIT is answered with success. Only a WARNING (01000) says that the row
#    may not have reached the standby; drivers that only log warnings (sqlx 0.9 among them) take it for a good commit.
# 2. statement_timeout does not end the wait.
# 3. The server does not notice that the client has gone, not even with client_connection_check_interval: a client that abandons
#    such commits and retries on new connections uses up max_connections.
#
# Seen with: pgserver 0.1.4 (PostgreSQL 16.2), psycopg 3.2.3.
set -euo pipefail
folder=$(mktemp -d)
chmod 755 "$folder"
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install pgserver==0.1.4 'psycopg[binary]==3.2.3'
bin=$("$folder/venv/bin/python" -W ignore -c 'import pgserver, pathlib; print(pathlib.Path(pgserver.__file__).parent / "pginstall/bin")')
as_other=()
if [ "$(id -u)" = 0 ]; then # PostgreSQL does not run as root.
    mkdir "$folder/server" && chown nobody "$folder/server"
    as_other=(runuser -u nobody --)
else
    mkdir "$folder/server"
fi
trap '"${as_other[@]}" "$bin/pg_ctl" -D "$folder/server/data" -m immediate stop >/dev/null; rm -rf "$folder"' EXIT
cd "$folder/server"
"${as_other[@]}" "$bin/initdb" -D "$folder/server/data" -U simo -A trust --no-sync >/dev/null
settings="-c listen_addresses= -c fsync=off -c synchronous_standby_names=nobody -c statement_timeout=500"
"${as_other[@]}" "$bin/pg_ctl" -D "$folder/server/data" -w -l "$folder/server/log" \
    -o "-k $folder/server $settings -c client_connection_check_interval=200" start >/dev/null
PGHOST="$folder/server" "$folder/venv/bin/python" - <<'PYTHON'
import threading, time, psycopg
connect = lambda **more: psycopg.connect("dbname=postgres user=simo", **more)
admin = connect(autocommit=True)
print(admin.execute("select version()").fetchone()[0].split(",")[0], "| psycopg", psycopg.__version__)
waiting = lambda: [pid for pid, in admin.execute("select pid from pg_stat_activity where wait_event = 'SyncRep'")]

def until(what, look):
    end = time.monotonic() + 20
    while not look():
        assert time.monotonic() < end, what
        time.sleep(0.05)

notices = []
poster = connect()
poster.add_notice_handler(lambda notice: notices.append((notice.severity_nonlocalized, notice.sqlstate, notice.message_primary)))
poster.execute("create table t (a int)")
commit = threading.Thread(target=poster.commit)
commit.start()
until("it waits", waiting)
time.sleep(2)
assert commit.is_alive() and waiting(), "statement_timeout (0.5 s) has ended the wait"
print("after 2 s with statement_timeout = 0.5 s: still waits")
admin.execute("select pg_cancel_backend(%s)", waiting())
commit.join(20)
print("COMMIT after pg_cancel_backend: success, with", notices)
assert [notice[:2] for notice in notices] == [("WARNING", "01000")]

lost = connect()
lost.execute("insert into t values (1)")
commit = threading.Thread(target=lambda: lost.pgconn.send_query(b"commit"))
commit.start()
commit.join()
until("it waits", waiting)
lost.close()
time.sleep(3)
assert waiting(), "the server has noticed that its client is gone"
print("3 s after the client closed its connection: still waits, with client_connection_check_interval = 0.2 s")
PYTHON
