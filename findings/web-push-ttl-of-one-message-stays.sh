#!/usr/bin/env bash
# webpush 1.0.6 (PyPI): WebPush.get(…, ttl=…) for one message, with a default in WebPush(…, ttl=…).
#
# Expected: the argument of get() is for this message; the next one without it has the default of the constructor, and ttl=0
#           ("delivered only if the device is reachable immediately", says the docstring of get) can be asked for.
# Seen: ttl, expiration and subscriber of one message become the defaults of all later ones, and 0 is ignored. After one
#       "lunch is ready" with 30 s every alarm to a phone that is switched off is thrown away after 30 s; and a message with
#       ttl=0 after it is stored for a day.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install webpush==1.0.6
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import base64, io, json
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from webpush import WebPush, WebPushSubscription
from webpush.vapid import VAPID

private, public, _ = VAPID.generate_keys()
phone = ec.generate_private_key(ec.SECP256R1()).public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
text = lambda octets: base64.urlsafe_b64encode(octets).decode().rstrip("=")
subscription = WebPushSubscription.model_validate(
    {"endpoint": "https://push.example.org/x", "keys": {"p256dh": text(phone), "auth": text(bytes(16))}}
)
sender = WebPush(io.BytesIO(private), io.BytesIO(public), subscriber="plant@example.org", ttl=86400)
seen = []
for what, more in (
    ("alarm, default of 86400", {}),
    ("lunch, ttl=30, by canteen", {"ttl": 30, "subscriber": "canteen@example.org"}),
    ("alarm, default of 86400", {}),
    ("alarm, ttl=86400", {"ttl": 86400}),
    ("only now, ttl=0", {"ttl": 0}),
):
    headers = sender.get("text", subscription, **more).headers
    claims = headers["authorization"].split("t=")[1].split(",")[0].split(".")[1]
    seen.append((int(headers["ttl"]), json.loads(base64.urlsafe_b64decode(claims + "=="))["sub"].removeprefix("mailto:")))
    print(f"{what}: sent with {seen[-1]}")
assert [ttl for ttl, _ in seen] == [86400, 30, 30, 86400, 86400]
assert [who.split("@")[0] for _, who in seen] == ["plant", "canteen", "canteen", "canteen", "canteen"]
PYTHON
