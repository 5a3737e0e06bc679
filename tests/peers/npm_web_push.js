// npm's web-push: node npm_web_push.js WORK PUSHES; 64 at a time over kept connections. Prints its CPU time in microseconds.
const fs = require('fs');
const https = require('https');
const webPush = require('web-push');

const { ca, text, subscriptions } = JSON.parse(fs.readFileSync(process.argv[2]));
const pushes = Number(process.argv[3]);
const keys = webPush.generateVAPIDKeys();
webPush.setVapidDetails('mailto:duty@example.org', keys.publicKey, keys.privateKey);
const agent = new https.Agent({ keepAlive: true, maxSockets: 64, ca });
const options = { TTL: 60, urgency: 'high', agent };

let sent = 0;
async function send() {
  while (sent < pushes) {
    await webPush.sendNotification(subscriptions[sent++ % subscriptions.length], text, options);
  }
}

const before = process.cpuUsage();
Promise.all(Array.from({ length: 64 }, send)).then(() => {
  const { user, system } = process.cpuUsage(before);
  console.log(user + system);
  agent.destroy();
});
