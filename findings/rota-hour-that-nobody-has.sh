#!/usr/bin/env bash
# node-ical 0.27.2 and ical.js 2.2.1 (npm) with the same rota: every day 08:00–20:00 and 20:00–08:00, Europe/Berlin.
#
# Expected: each shift ends by local time, when the next one begins; the night in which summer time ends has 13 h.
# Seen: ical.js does so. In node-ical (expandRecurringEvent) each night has the 12 h of the first one: on 25 October the night
#       shift is over at 07:00 and nobody is on call until 08:00; on 29 March two are. RFC 5545 (3.8.5.3) supports
#       node-ical: with DTEND the "same exact duration" holds for all. DURATION:PT12H gives the same difference, so
#       no series describes a plant's shifts equally for both; single events do.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-audit --no-fund node-ical@0.27.2 ical.js@2.2.1 >/dev/null
cat >read.mjs <<'JAVASCRIPT'
import assert from 'node:assert';
import ICAL from 'ical.js';
import nodeIcal from 'node-ical';

const change = (kind, start, from, to, month) =>
  ['BEGIN:' + kind, 'DTSTART:' + start, 'TZOFFSETFROM:' + from, 'TZOFFSETTO:' + to, `RRULE:FREQ=YEARLY;BYMONTH=${month};BYDAY=-1SU`, 'END:' + kind];
const rota = (first, end) => [
  'BEGIN:VCALENDAR', 'VERSION:2.0', 'PRODID:-//x//rota//EN', 'BEGIN:VTIMEZONE', 'TZID:Europe/Berlin',
  ...change('STANDARD', '19961027T030000', '+0200', '+0100', 10), ...change('DAYLIGHT', '19810329T020000', '+0100', '+0200', 3), 'END:VTIMEZONE',
  'BEGIN:VEVENT', 'UID:night', 'DTSTAMP:20260101T000000Z', 'SUMMARY:night', `DTSTART;TZID=Europe/Berlin:${first}`, end,
  'RRULE:FREQ=DAILY;COUNT=3', 'END:VEVENT', 'END:VCALENDAR', ''].join('\r\n');
const libraries = {
  'ical.js': (text) => {
    const calendar = new ICAL.Component(ICAL.parse(text));
    ICAL.TimezoneService.register(new ICAL.Timezone(calendar.getFirstSubcomponent('vtimezone')));
    const event = new ICAL.Event(calendar.getFirstSubcomponent('vevent')), ends = [], starts = event.iterator();
    for (let start; (start = starts.next()); ) ends.push(event.getOccurrenceDetails(start).endDate.toJSDate());
    return ends;
  },
  'node-ical': (text) => {
    const event = Object.values(nodeIcal.sync.parseICS(text)).find((part) => part.type === 'VEVENT');
    return nodeIcal.expandRecurringEvent(event, { from: new Date('2026-01-01'), to: new Date('2026-12-31') }).map((night) => night.end);
  },
};
const clock = (time) => time.toLocaleString('sv', { timeZone: 'Europe/Berlin' }).slice(5, 16);
const seen = [];
for (const [first, end] of [
  ['20261023T200000', 'DTEND;TZID=Europe/Berlin:20261024T080000'], ['20261023T200000', 'DURATION:PT12H'],
  ['20260327T200000', 'DTEND;TZID=Europe/Berlin:20260328T080000'],
]) for (const [name, read] of Object.entries(libraries)) {
  const ends = read(rota(first, end)).map(clock);
  seen.push(ends[1].slice(-5));
  assert(ends[0].endsWith('08:00') && ends[2].endsWith('08:00'));
  console.log(`${end}, ${name}: nights end at ${ends.join(', ')}`);
}
assert.deepEqual(seen, ['08:00', '07:00', '08:00', '07:00', '08:00', '09:00']);
JAVASCRIPT
node read.mjs
