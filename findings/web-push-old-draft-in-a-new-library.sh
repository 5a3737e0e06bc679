#!/usr/bin/env bash
# @pushforge/builder 2.0.5 (npm) and web-push-testing 1.2.2 (npm), a stand-in for push services.
#
# Expected: a current library encrypts as in RFC 8291 (`aes128gcm`, the only form there since 2017);
#           and its messages pass a stand-in that accepts both that and the old draft.
# Seen: it sends the draft of 2016 (`aesgcm`, salt in `Encryption`, key in `Crypto-Key`), but with the Authorization of the
#       RFC (`vapid t=…, k=…`; the draft has `WebPush …` and `p256ecdsa=`). The stand-in refuses the mixture with 400, while
#       web-push 3.6.7 passes. The README mentions neither.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-audit --no-fund web-push@3.6.7 web-push-testing@1.2.2 @pushforge/builder@2.0.5 >/dev/null
cat >send.mjs <<'JAVASCRIPT'
import assert from 'node:assert';
import { createRequire } from 'node:module';
import net from 'node:net';
import { buildPushHTTPRequest } from '@pushforge/builder';
import webPush from 'web-push';

const require = createRequire(import.meta.url);
const { PushApiModel } = require('web-push-testing/src/PushApiModel.js');
const Server = require('web-push-testing/src/server.js');
const listen = net.Server.prototype.listen; // it would listen on every address
net.Server.prototype.listen = function (port, ready) { return listen.call(this, port, '127.0.0.1', ready); };
const service = new PushApiModel();
const server = new Server(service, 0);
server.startServer();
await new Promise((ready) => server._server.once('listening', ready));
const origin = `127.0.0.1:${server._server.address().port}`;

const vapid = { subject: 'mailto:plant@example.org', ...webPush.generateVAPIDKeys() };
const point = Buffer.from(vapid.publicKey, 'base64url');
const privateJWK = { kty: 'EC', crv: 'P-256', x: point.subarray(1, 33).toString('base64url'), y: point.subarray(33).toString('base64url'), d: vapid.privateKey };
const { clientHash, keys } = await service.subscribe({ userVisibleOnly: 'true', applicationServerKey: vapid.publicKey });
const subscription = { endpoint: `https://${origin}/notify/${clientHash}`, keys };
const requests = {
  'web-push': webPush.generateRequestDetails(subscription, '{"text":"x"}', { vapidDetails: vapid }),
  '@pushforge/builder': await buildPushHTTPRequest({ privateJWK, subscription, message: { payload: { text: 'x' }, adminContact: vapid.subject } }),
};
const seen = [];
for (const [name, request] of Object.entries(requests)) {
  const headers = new Headers(request.headers);
  headers.delete('content-length');
  const answer = await fetch(`http://${origin}/notify/${clientHash}`, { method: 'POST', headers, body: request.body });
  seen.push([headers.get('content-encoding'), headers.get('authorization').split(' ')[0], answer.status]);
  console.log(name, ...seen.at(-1), await answer.text());
}
assert.deepEqual(seen, [['aes128gcm', 'vapid', 201], ['aesgcm', 'vapid', 400]]);
process.exit();
JAVASCRIPT
node send.mjs
