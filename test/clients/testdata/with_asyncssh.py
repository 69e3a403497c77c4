"""A client of dnsgate with AsyncSSH: GATE PORT KEY KNOWN_HOSTS WORD...

The KEY "agent" stands for the keys of ssh-agent.
"""
import asyncio
import sys

import asyncssh

gate, port, key, known_hosts, *words = sys.argv[1:]
if key == "agent":
    keys = {"agent_path": ()}
else:
    keys = {"client_keys": [key], "agent_path": None}


async def run():
    async with asyncssh.connect(
        gate, int(port), username="dnsgate", known_hosts=known_hosts, config=None, connect_timeout=10, **keys
    ) as connection:
        return await connection.run(" ".join(words), stdin=asyncssh.DEVNULL, timeout=30)


try:
    result = asyncio.run(run())
except (OSError, ValueError, asyncio.TimeoutError, asyncssh.Error) as error:
    print(error, file=sys.stderr)
    sys.exit(255)
sys.stdout.write(result.stdout)
sys.stderr.write(result.stderr)
sys.exit(255 if result.exit_status is None or result.exit_status < 0 else result.exit_status)
