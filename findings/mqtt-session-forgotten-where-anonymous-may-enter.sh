#!/usr/bin/env bash
# amqtt 0.12.1 (PyPI), an MQTT broker, with AnonymousAuthPlugin; aiomqtt 2.5.1 as client.
#
# Expected: a client with a user name, its own id and clean_session=False keeps its subscription while it is offline, and gets
#           the QoS 1 messages of that time (MQTT 3.1.1, 3.1.2.4), whether or not others may connect without a name.
# Seen: with `allow_anonymous: true` the broker treats every client as anonymous, even those with a name, and keeps nothing
#       for anonymous ones: the subscription is dropped, messages published meanwhile are acknowledged to their sender and
#       lost. With `allow_anonymous: false` (no password is asked for even then) the same clients lose nothing. The only
#       sign is "session present: 0" at the next connection.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install amqtt==0.12.1 aiomqtt==2.5.1
"$folder/venv/bin/python" - <<'PYTHON'
import asyncio, logging, socket
import aiomqtt
from amqtt.broker import Broker

logging.disable(logging.CRITICAL)

async def got_after_absence(anonymous):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    plugins = {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": anonymous}}
    broker = Broker({"listeners": {"default": {"type": "tcp", "bind": f"127.0.0.1:{port}"}}, "plugins": plugins})
    await broker.start()
    phone = {"hostname": "127.0.0.1", "port": port, "identifier": "phone", "username": "phone", "clean_session": False}
    async with aiomqtt.Client(**phone) as client:
        await client.subscribe("alarm/#", qos=1)
    async with aiomqtt.Client("127.0.0.1", port, identifier="plant", username="plant") as client:
        for text in "Boiler 1", "Boiler 2":
            await client.publish("alarm/boiler", text, qos=1) # returns with the broker's PUBACK
    texts = []
    async with aiomqtt.Client(**phone) as client:
        try:
            async with asyncio.timeout(2):
                async for message in client.messages:
                    texts.append(message.payload.decode())
        except TimeoutError:
            pass
    await broker.shutdown()
    return texts

async def main():
    seen = {anonymous: await got_after_absence(anonymous) for anonymous in (True, False)}
    for anonymous, texts in seen.items():
        print(f"allow_anonymous {anonymous}: published 2 while the phone was away, it got {texts}")
    assert seen == {True: [], False: ["Boiler 1", "Boiler 2"]}

asyncio.run(main())
PYTHON
