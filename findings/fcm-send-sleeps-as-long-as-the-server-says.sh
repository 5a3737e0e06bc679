#!/usr/bin/env bash
# firebase-admin 7.7.0 (PyPI), messaging.send() and messaging.send_each_async(), and FCM's answer 429 with Retry-After.
#
# Expected: "Retries up to 4 times on HTTP 500 and 503", says the library; 429 (quota) is raised at once as
#           ResourceExhaustedError, and both calls do the same.
# Seen: send() sleeps Retry-After and posts again, four times over, before it raises: urllib3 below retries 413, 429 and 503
#       by itself as soon as there is Retry-After. One limited project holds a worker for 4 x Retry-After (FCM says a minute and
#       more), `httpTimeout` does not end it, and each repeat counts against the quota. Without Retry-After, and with
#       send_each_async (httpx), 429 is raised after one post.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install firebase-admin==7.7.0 urllib3==2.8.0 requests==2.34.2
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
import asyncio, threading, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
import firebase_admin
from firebase_admin import credentials, messaging
from google.oauth2.credentials import Credentials

posts, retry_after = [], None

class Service(BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        posts.append(time.monotonic())
        self.send_response(429)
        if retry_after:
            self.send_header("Retry-After", retry_after)
        self.end_headers()
        self.wfile.write(b'{"error": {"code": 429, "message": "quota", "status": "RESOURCE_EXHAUSTED"}}')

    def log_message(self, *_):
        pass

class Anybody(credentials.Base):
    def get_credential(self):
        return Credentials("token")

server = ThreadingHTTPServer(("127.0.0.1", 0), Service)
threading.Thread(target=server.serve_forever, daemon=True).start()
messaging._MessagingService.FCM_URL = f"http://127.0.0.1:{server.server_port}/{{0}}"
firebase_admin.initialize_app(Anybody(), {"projectId": "plant", "httpTimeout": 1})
message = messaging.Message(token="phone", data={"text": "x"})

def measure(way, send):
    posts.clear()
    start = time.monotonic()
    try:
        error = send().responses[0].exception
    except firebase_admin.exceptions.FirebaseError as raised:
        error = raised
    seconds = time.monotonic() - start
    print(f"Retry-After {retry_after}, {way}: {type(error).__name__} after {len(posts)} posts and {seconds:.1f} s")
    return len(posts), seconds >= 8

assert measure("send", lambda: messaging.send(message)) == (1, False)
retry_after = "2"
assert measure("send", lambda: messaging.send(message)) == (5, True), "send() no longer sleeps"
assert measure("send_each_async", lambda: asyncio.run(messaging.send_each_async([message]))) == (1, False)
PYTHON
