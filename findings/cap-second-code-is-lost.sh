#!/usr/bin/env bash
# @dec112/cap-ts 0.3.2 (npm), reading a Common Alerting Protocol message with several <code> elements.
#
# Expected: `code_list` is what its type says, a list of texts, with all of them. CAP 1.2 allows any number; national
#           profiles write their names there, and a message may follow several. The other repeated elements (category,
#           responseType, area) are lists.
# Seen: fromXML() gives the first <code> as a text under the name code_list and drops the others. `includes` works on texts,
#       too, so a filter by profile seems to work, but misses the second code, and takes "CAP-CP" for a code.
#       The alert that was read cannot be written again: toXML() wants the list ("code_list.forEach is not a function").
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-audit --no-fund @dec112/cap-ts@0.3.2 tslib@2.8.1 >/dev/null
cat >read.mjs <<'JAVASCRIPT'
import assert from 'node:assert';
import cap from '@dec112/cap-ts';

const codes = ['profile:CAP-CP:0.4', 'profile:example:1.0'];
const message = (codes) => `<alert xmlns="urn:oasis:names:tc:emergency:cap:1.2">
  <identifier>1</identifier><sender>plant@example.org</sender><sent>2026-11-30T12:00:00+03:00</sent>
  <status>Actual</status><msgType>Alert</msgType><scope>Public</scope>${codes.map((code) => `<code>${code}</code>`).join('')}
  <info><category>Safety</category><category>Env</category><event>Leak</event><urgency>Immediate</urgency>
  <severity>Severe</severity><certainty>Observed</certainty></info></alert>`;
const read = (codes) => cap.CAP_1_2.Alert.fromXML(message(codes));
const alert = await read(codes);
console.log('two categories:', alert.info_list[0].category_list.length, 'read; two codes:', JSON.stringify(alert.code_list), 'read');
assert.equal(alert.info_list[0].category_list.length, 2);
assert.equal(alert.code_list, codes[0]);
assert.equal(alert.code_list.includes('CAP-CP'), true);
assert.match((await read([])).toXML(), /<event>Leak/);
assert.throws(() => alert.toXML(), { name: 'TypeError' });
JAVASCRIPT
node read.mjs
