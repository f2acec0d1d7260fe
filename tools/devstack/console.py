"""Redis commands (arguments or lines) go in; their replies are printed: a small redis-cli for the socket."""

from __future__ import annotations

import shlex
import sys

import redis


def say(client: redis.Redis, words: list[str]) -> bool:
    """Run one command and print its reply; False when the server refused it."""
    try:
        reply = client.execute_command(*words)
    except redis.RedisError as error:
        print(f"(error) {error}")
        return False
    for line in reply if isinstance(reply, list) else [reply]:
        print(line.decode(errors="replace") if isinstance(line, bytes) else line)
    return True


def main(arguments: list[str]) -> int:
    """`URL [COMMAND …]`: one command, or one a line from standard input."""
    client = redis.Redis.from_url(arguments[0])
    if arguments[1:]:
        return 0 if say(client, arguments[1:]) else 1
    for line in sys.stdin:
        if words := shlex.split(line):
            say(client, words)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
