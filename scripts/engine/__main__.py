"""Start a Docker engine from Debian's packages, make stand-ins for public images, stop what was started.

    start                      install what is missing, start dockerd unless an engine answers; prints its version
    stand-in KIND [IMAGE...]   one local image and its names (none given: sluice-stand-in:KIND)
    stop                       end the dockerd that `start` started; another one is left alone

`start` and the first stand-in of a kind want root, Debian and its package server; a second call takes a second.
"""

import argparse
import sys

from daemon import start, stop
from packages import EngineError
from stand_ins import KINDS, stand_in


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("start", help="an engine that answers")
    making = commands.add_parser("stand-in", help="one local image")
    making.add_argument("kind", choices=sorted(KINDS), help="what is in it")
    making.add_argument("image", nargs="*", help="names it gets")
    commands.add_parser("stop", help="end what `start` started")
    return parser.parse_args()


def main() -> None:
    """Do what the command line says; one line about what is there now, or exit code 1 and the reason."""
    given = _arguments()
    try:
        if given.command == "start":
            print(start())
        elif given.command == "stop":
            print(stop())
        else:
            print(*stand_in(given.kind, given.image), sep="\n")
    except EngineError as error:
        print(error, file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
