"""PyPI's pywebpush: pypi_pywebpush.py WORK PUSHES, 16 threads over kept connections. Prints its processor time in microseconds."""

import json
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import requests
from py_vapid import Vapid
from pywebpush import webpush

with open(sys.argv[1], encoding="utf-8") as file:
    work = json.load(file)
pushes = int(sys.argv[2])
subscriptions = work["subscriptions"]
ca = sys.argv[1] + ".pem"
with open(ca, "w", encoding="utf-8") as file:
    file.write(work["ca"])

key = Vapid()
key.generate_keys()
# The certificates named in the environment override a session's.
os.environ["REQUESTS_CA_BUNDLE"] = ca
session = requests.Session()
session.mount("https://", requests.adapters.HTTPAdapter(pool_maxsize=64))


def send(number):
    webpush(
        subscriptions[number % len(subscriptions)],
        work["text"],
        vapid_private_key=key,
        vapid_claims={"sub": "mailto:duty@example.org"},
        ttl=60,
        requests_session=session,
    )


before = time.process_time()
with ThreadPoolExecutor(16) as pool:
    for _ in pool.map(send, range(pushes)):
        pass
print(round((time.process_time() - before) * 1e6))
