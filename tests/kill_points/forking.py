"""Processes that are forked from one that has everything imported: a whole service in some milliseconds.

`python forking.py SOCKET` answers one line of JSON a connection: `{"run": victim, "url": url}` with the process's id,
`{"end": pid}` with how it ended, once it has. An ended process keeps its id until it was asked for.
"""

import ctypes
import json
import os
import signal
import socket
import sys
import traceback
from pathlib import Path

from tests.kill_points import victims


def become(name: str, url: str) -> None:
    """Be the victim, until its end or ours."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    code = 0
    try:
        victims.run(name, url)
    except BaseException:  # noqa: BLE001 - whatever it is, it is this process's last word
        traceback.print_exc()
        code = 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def answer(asked: dict[str, str | int], listening: socket.socket, connection: socket.socket) -> int:
    """Do what is asked for."""
    if "end" in asked:
        return os.waitstatus_to_exitcode(os.waitpid(int(asked["end"]), 0)[1])
    pid = os.fork()
    if not pid:
        listening.close()
        connection.close()
        become(str(asked["run"]), str(asked["url"]))
    return pid


def main(path: str) -> None:
    """Serve until killed."""
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path)
        listening.listen(64)
        print("serves", flush=True)
        while True:
            connection, _ = listening.accept()
            with connection:
                asked = json.loads(connection.recv(4096))
                connection.sendall(json.dumps(answer(asked, listening, connection)).encode())


if __name__ == "__main__":
    main(str(Path(sys.argv[1])))
