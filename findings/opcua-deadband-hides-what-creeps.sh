#!/usr/bin/env bash
# asyncua 2.1.0 (PyPI), an OPC UA server, and a subscription with an absolute deadband (deadband_monitor, 5.0).
#
# Expected (OPC UA part 4, DataChangeFilter): a value is reported when it differs from the *last reported* by more than 5, and a
#           change of the status (good, uncertain, bad) is reported whatever the deadband is.
# Seen: 1. the server compares with the previous value. A pressure that rises from 10 to 40 in steps of 1 is never
#          reported; a single jump is. Slow drift is the usual case for deadbands.
#       2. with a deadband a change of the status alone is never reported: the sensor fails, the client keeps showing the
#          last good value. Without a deadband both are reported.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install asyncua==2.1.0
"$folder/venv/bin/python" - <<'PYTHON'
import asyncio, logging, socket
from asyncua import Client, Server, ua

logging.disable(logging.CRITICAL)

class Reported(list):
    def datachange_notification(self, node, value, data):
        self.append((value, data.monitored_item.Value.StatusCode.name))

def quality(value, status):
    return ua.DataValue(ua.Variant(value, ua.VariantType.Double), StatusCode=ua.StatusCode(status))

async def main():
    with socket.create_server(("127.0.0.1", 0)) as free:
        url = f"opc.tcp://127.0.0.1:{free.getsockname()[1]}/"
    server = Server()
    await server.init()
    server.set_endpoint(url)
    server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
    space = await server.register_namespace("urn:plant")
    pressure = await server.nodes.objects.add_variable(space, "Pressure", 10.0)
    async with server, Client(url) as client:
        plain, banded = Reported(), Reported()
        node = client.get_node(pressure.nodeid)
        await (await client.create_subscription(20, plain)).subscribe_data_change(node)
        await (await client.create_subscription(20, banded)).deadband_monitor(node, 5.0)

        async def write(*values):
            plain.clear(), banded.clear()
            for value in values:
                await pressure.write_value(value)
                await asyncio.sleep(0.05)
            await asyncio.sleep(0.3)
            return list(plain), list(banded)

        await asyncio.sleep(0.3)
        every, creep = await write(*(10.0 + step for step in range(1, 31)))
        print(f"11, 12, … 40: {len(every)} reported without deadband, with it {creep}")
        assert len(every) == 30 and creep == []
        _, jump = await write(20.0)
        print(f"20 at once: with deadband {jump}")
        assert jump == [(20.0, "Good")]
        every, failing = await write(quality(20.0, ua.StatusCodes.UncertainLastUsableValue), quality(20.0, ua.StatusCodes.BadSensorFailure))
        print(f"20 uncertain, then bad: without deadband {[status for _, status in every]}, with it {failing}")
        assert [status for _, status in every] == ["UncertainLastUsableValue", "BadSensorFailure"] and failing == []

asyncio.run(main())
PYTHON
