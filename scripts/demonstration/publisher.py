"""A publisher that is not Sluice: only the standard library, plain XADD over a socket. `publisher.py URL POOL RUNS`.

Every other run is a command, the others are entrypoints; the last entry is no run at all.
"""

import json
import socket
import sys
from urllib.parse import urlsplit

NOT_A_RUN = '{"entrypoint": "flows.py:longest_line", "colour": "red"}'


def connect(url: str) -> socket.socket:
    """A connection to the server: unix:// or redis://."""
    place = urlsplit(url)
    if place.scheme == "unix":
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(place.path)
        return connection
    return socket.create_connection((place.hostname or "127.0.0.1", place.port or 6379))


def command(*words: str) -> bytes:
    """A command as Redis reads it."""
    parts = [word.encode() for word in words]
    return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%b\r\n" % (len(part), part) for part in parts)


def document(number: int, python: str) -> str:
    """A run as JSON."""
    parameters = {"file": "mill.txt", "number": number, "pause": 0.05}
    if number % 2:
        return json.dumps({"entrypoint": "flows.py:longest_line", "parameters": parameters})
    return json.dumps({"command": [python, "flows.py", "mill.txt", str(number), "0.05"]})


def main(url: str, pool: str, folder: str, runs: int) -> None:
    """Add all runs to the pool's publish stream, then something that is none."""
    stream = f"sluice:{{{pool}}}:publish"
    documents = [json.loads(document(number, sys.executable)) for number in range(runs)]
    texts = [json.dumps({**found, "job_variables": {"working_dir": folder}}) for found in documents]
    with connect(url) as connection:
        answers = connection.makefile("rb")
        for text in [*texts, NOT_A_RUN]:
            connection.sendall(command("XADD", stream, "*", "run", text))
            if not answers.readline().startswith(b"$"):
                raise SystemExit("the server took no entry")
            answers.readline()
    print(f"{runs} runs and one entry that is none published to {stream}")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]))
