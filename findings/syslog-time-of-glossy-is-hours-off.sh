#!/usr/bin/env bash
# glossy 0.1.7 (npm) writes RFC 5424 messages with a wrong time.
#
# Expected: any of the forms of RFC 3339, all of the same instant, whatever the time zone of the machine.
# Seen: 1. the time is in UTC, but the offset after it is the machine's: in Moscow each message is three hours early.
#       2. milliseconds below 100 lose a leading zero: .099 becomes .99, which is 990 ms. Messages of one second change
#          their order when they are sorted by time (.099 is later than .100).
# A reader of the messages cannot detect it: the format is valid. An alarm "older than two hours" is dropped as stale.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-audit --no-fund glossy@0.1.7 >/dev/null
cat >write.cjs <<'JAVASCRIPT'
const { Produce } = require('glossy');
const time = new Date(process.argv[2]);
const line = new Produce({ type: 'RFC5424' }).produce({ facility: 'local4', severity: 'error', host: 'plant', appName: 'boiler', date: time, message: 'text' });
console.log(line.split(' ')[1]);
JAVASCRIPT
in_zone() { TZ=$1 node write.cjs "$2"; }
for zone in UTC Europe/Moscow Asia/Vladivostok America/New_York; do
    echo "2026-11-30T09:00:00.250Z, written in $zone: $(in_zone "$zone" 2026-11-30T09:00:00.250Z)"
done
echo "…00.099Z and …00.100Z, written in UTC: $(in_zone UTC 2026-11-30T09:00:00.099Z) $(in_zone UTC 2026-11-30T09:00:00.100Z)"
minutes_off() { node -e 'console.log((new Date(process.argv[1]) - new Date(process.argv[2])) / 60000)' "$1" "$2"; }
[ "$(minutes_off "$(in_zone UTC 2026-11-30T09:00:00.250Z)" 2026-11-30T09:00:00.250Z)" = 0 ]
[ "$(minutes_off "$(in_zone Europe/Moscow 2026-11-30T09:00:00.250Z)" 2026-11-30T09:00:00.250Z)" = -180 ]
[ "$(minutes_off "$(in_zone America/New_York 2026-11-30T09:00:00.250Z)" 2026-11-30T09:00:00.250Z)" = 300 ]
[[ "$(in_zone UTC 2026-11-30T09:00:00.099Z)" > "$(in_zone UTC 2026-11-30T09:00:00.100Z)" ]]
