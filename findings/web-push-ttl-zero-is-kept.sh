#!/usr/bin/env bash
# @block65/webcrypto-web-push 2.0.0 and @pushforge/builder 2.0.5 (npm): a message with TTL 0.
#
# Expected: TTL 0 is sent as 0 (RFC 8030, 5.2: for phones that are online now, never stored). An "are you there?" or "the gate
#           opens now" is sent like this, because late it is worse than nothing. web-push 3.6.7 sends 0.
# Seen: 0 counts as "not given": 60 s with the one, 24 h (its maximum) with the other. No error.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-audit --no-fund web-push@3.6.7 @block65/webcrypto-web-push@2.0.0 @pushforge/builder@2.0.5 >/dev/null
cat >send.mjs <<'JAVASCRIPT'
import assert from 'node:assert';
import crypto from 'node:crypto';
import { buildPushPayload } from '@block65/webcrypto-web-push';
import { buildPushHTTPRequest } from '@pushforge/builder';
import webPush from 'web-push';

const phone = crypto.createECDH('prime256v1');
const subscription = {
  endpoint: 'https://push.example.org/x', expirationTime: null,
  keys: { p256dh: phone.generateKeys('base64url'), auth: crypto.randomBytes(16).toString('base64url') },
};
const vapid = { subject: 'mailto:plant@example.org', ...webPush.generateVAPIDKeys() };
const point = Buffer.from(vapid.publicKey, 'base64url');
const privateJWK = { kty: 'EC', crv: 'P-256', x: point.subarray(1, 33).toString('base64url'), y: point.subarray(33).toString('base64url'), d: vapid.privateKey };
const libraries = {
  'web-push': (ttl) => webPush.generateRequestDetails(subscription, 'text', { TTL: ttl, vapidDetails: vapid }).headers.TTL,
  '@block65/webcrypto-web-push': async (ttl) => (await buildPushPayload({ data: 'text', options: { ttl } }, subscription, vapid)).headers.ttl,
  '@pushforge/builder': async (ttl) => {
    const message = { payload: 'text', options: { ttl }, adminContact: vapid.subject };
    return (await buildPushHTTPRequest({ privateJWK, subscription, message })).headers.get('ttl');
  },
};
const zero = {};
for (const [name, send] of Object.entries(libraries)) {
  zero[name] = Number(await send(0));
  console.log(`${name}: asked for 0 and 30, sent ${zero[name]} and ${await send(30)}`);
}
assert.deepEqual(Object.values(zero), [0, 60, 86400]);
JAVASCRIPT
node send.mjs
