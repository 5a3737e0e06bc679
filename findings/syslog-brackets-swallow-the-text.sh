#!/usr/bin/env bash
# glossy 0.1.7 (npm), reading RFC 5424 messages with structured data and a text that has square brackets.
#
# Expected: the structured data ends at the first space behind a closing bracket (RFC 5424, 6); everything after it is the text.
# Seen: the structured data is taken up to the *last* bracket of the whole message. The text before it, here the whole
#       alarm, is lost; words in brackets become structured data. Without structured data ("-") the same text is parsed correctly,
#       so tests with plain messages do not show it. No error is thrown.
# Control systems write tags and units in brackets: "Pressure [bar] above 8".
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-audit --no-fund glossy@0.1.7 >/dev/null
cat >read.cjs <<'JAVASCRIPT'
const assert = require('node:assert');
const { Parse } = require('glossy');
const read = (data, text) => {
  const { message, structuredData } = Parse.parse(`<163>1 2026-11-30T09:00:00Z plant boiler - - ${data} ${text}`);
  console.log(`${data} ${text}\n   text ${JSON.stringify(message)}, data ${JSON.stringify(structuredData)}`);
  return message;
};
const data = '[tag@32473 name="PT-101"]';
assert.equal(read('-', 'Pressure above 8 [bar]'), 'Pressure above 8 [bar]');
assert.equal(read(data, 'Pressure above 8 bar'), 'Pressure above 8 bar');
assert.equal(read(data, 'Pressure above 8 [bar]'), '');
assert.equal(read(data, 'Pressure [bar] above 8, boiler 2 stopped'), 'above 8, boiler 2 stopped');
JAVASCRIPT
node read.cjs
