#!/usr/bin/env bash
# @microsoft/fetch-event-source 2.0.1 (npm) and a comment line as heartbeat.
#
# Expected: a line that begins with a colon is a comment. It keeps the connection alive (HTML, 9.2.7 recommends one every 15 s)
#           and is not delivered to the page; eventsource 5.1.5 does so.
# Seen: onmessage is called for each comment with `data`, `event` and `id` all "". JSON.parse("") in onmessage throws, the
#       library takes this for a broken connection and makes a new one: each heartbeat tears the stream down before its next
#       event. With a comment first (": connected") no event ever arrives, and the only symptom is the reconnections.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-audit --no-fund @microsoft/fetch-event-source@2.0.1 eventsource@5.1.5 >/dev/null
cat >read.mjs <<'JAVASCRIPT'
import assert from 'node:assert';
import http from 'node:http';
import { fetchEventSource } from '@microsoft/fetch-event-source';
import { EventSource } from 'eventsource';

let connections = 0;
const server = http.createServer((_, answer) => {
  connections += 1;
  answer.writeHead(200, { 'content-type': 'text/event-stream' });
  answer.write(': connected\n\n');
  setTimeout(() => answer.write('id: 7\ndata: {"text":"Boiler 2 stopped"}\n\n'), 300);
});
await new Promise((ready) => server.listen(0, '127.0.0.1', ready));
const url = `http://127.0.0.1:${server.address().port}/`;
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

const plain = [];
const source = new EventSource(url);
source.onmessage = (event) => plain.push(JSON.parse(event.data).text);
await sleep(1500);
source.close();
console.log('eventsource:', plain, 'connections:', connections);
assert.deepEqual([plain, connections], [['Boiler 2 stopped'], 1]);

connections = 0;
const got = [], raw = [], stop = new AbortController();
Object.assign(globalThis, { window: globalThis, document: { hidden: false, addEventListener() {}, removeEventListener() {} } });
fetchEventSource(url, {
  signal: stop.signal,
  onmessage: (event) => { raw.push(event.data); got.push(JSON.parse(event.data).text); },
  onerror: () => 200, // try again after so many ms
});
await sleep(1500);
stop.abort();
console.log('fetch-event-source:', got, 'connections:', connections, 'data given to onmessage:', raw);
assert(got.length === 0 && connections > 2 && raw.every((data) => data === ''));
process.exit();
JAVASCRIPT
node read.mjs
