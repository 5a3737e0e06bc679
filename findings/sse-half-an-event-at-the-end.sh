#!/usr/bin/env bash
# sseclient-py 1.9.0 (PyPI) and a connection that ends in the middle of an event.
#
# Expected: an event counts only with the empty line after it; one that the end of the stream cuts off is discarded (HTML,
#           9.2.6) and requested again by Last-Event-ID. httpx-sse 0.4.3 does so.
# Seen: the half event comes as a whole one, with its id. The reader shows half a text (here without the word that reverses its
#       meaning), remembers the id, and on the next connection the server correctly continues with the following event.
# Every restart of a server or proxy that ends answers in an orderly way can do this: the transport reports no error.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install sseclient-py==1.9.0 requests==2.34.2 httpx-sse==0.4.3 httpx==0.28.1
"$folder/venv/bin/python" - <<'PYTHON'
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
import httpx, httpx_sse, requests, sseclient

class Stream(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for piece in b"id: 6\ndata: ready\n\n", b"id: 7\ndata: The tank is closed\n", b"":
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))

    def log_message(self, *_):
        pass

server = ThreadingHTTPServer(("127.0.0.1", 0), Stream)
threading.Thread(target=server.serve_forever, daemon=True).start()
url = f"http://127.0.0.1:{server.server_port}/"
print("the server meant id 7 to be: The tank is closed / no longer: the valve leaks")
half = [(event.id, event.data) for event in sseclient.SSEClient(requests.get(url, stream=True)).events()]
print("sseclient-py:", half)
with httpx.Client() as client, httpx_sse.connect_sse(client, "GET", url) as source:
    whole = [(event.id, event.data) for event in source.iter_sse()]
print("httpx-sse:   ", whole)
server.shutdown()
assert whole == [("6", "ready")]
assert half == [("6", "ready"), ("7", "The tank is closed")]
PYTHON
