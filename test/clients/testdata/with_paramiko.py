"""A client of dnsgate with Paramiko: GATE PORT KEY KNOWN_HOSTS WORD..."""
import sys

import paramiko

gate, port, key, known_hosts, *words = sys.argv[1:]
client = paramiko.SSHClient()
client.load_host_keys(known_hosts)
client.set_missing_host_key_policy(paramiko.RejectPolicy())
try:
    client.connect(gate, int(port), "dnsgate", key_filename=key, allow_agent=False, look_for_keys=False, timeout=10)
    _, stdout, stderr = client.exec_command(" ".join(words), timeout=30)
    sys.stdout.buffer.write(stdout.read())
    sys.stderr.buffer.write(stderr.read())
    status = stdout.channel.recv_exit_status()
except (OSError, EOFError, paramiko.SSHException) as error:
    print(error, file=sys.stderr)
    status = 255
finally:
    client.close()
sys.exit(status if status >= 0 else 255)
