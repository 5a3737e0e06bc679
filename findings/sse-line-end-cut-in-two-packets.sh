#!/usr/bin/env bash
# requests-sse 0.5.3 (PyPI), reading a stream of events whose lines end in CR LF.
#
# Expected: where the network cuts the stream does not matter; httpx-sse 0.4.3 reads the same events however the bytes are cut.
# Seen: when a piece of the body ends between CR and LF, the LF at the start of the next piece counts as an empty line.
#       It ends the event: a text of two lines becomes two events, and the second lacks the event's name.
# The first half is a whole event with the id, so a reader that remembers the id treats the alarm as received.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install requests-sse==0.5.3 requests==2.34.2 httpx-sse==0.4.3 httpx==0.28.1
"$folder/venv/bin/python" - <<'PYTHON'
import threading, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
import httpx, httpx_sse, requests_sse

class Stream(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        pieces = [b"event: alarm\r\nid: 7\r\ndata: Boiler 2\r", b"\ndata: stopped\r\n\r\n"]
        for piece in (pieces if self.path == "/cut" else [b"".join(pieces)]) + [b""]:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            time.sleep(0.2)

    def log_message(self, *_):
        pass

server = ThreadingHTTPServer(("127.0.0.1", 0), Stream)
threading.Thread(target=server.serve_forever, daemon=True).start()

def with_requests_sse(url):
    events = []
    with requests_sse.EventSource(url, max_connect_retry=0) as source:
        for event in source:
            events.append((event.type, event.data, event.last_event_id))
            if event.data.endswith("stopped"):
                return events

def with_httpx_sse(url):
    with httpx.Client() as client, httpx_sse.connect_sse(client, "GET", url) as source:
        return [(event.event, event.data, event.id) for event in source.iter_sse()]

seen = {}
for path in "/whole", "/cut":
    for read in with_requests_sse, with_httpx_sse:
        seen[path, read] = read(f"http://127.0.0.1:{server.server_port}{path}")
        print(path, read.__name__, seen[path, read])
server.shutdown()
whole = [("alarm", "Boiler 2\nstopped", "7")]
assert seen["/whole", with_requests_sse] == seen["/whole", with_httpx_sse] == seen["/cut", with_httpx_sse] == whole
assert seen["/cut", with_requests_sse] == [("alarm", "Boiler 2", "7"), ("message", "stopped", "7")]
PYTHON
