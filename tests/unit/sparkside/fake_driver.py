"""Plays the Spark driver for the tests of its parent: the same protocol, no Spark."""

from __future__ import annotations

import json
import os
import sys
import time


def say(message: dict) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def main() -> None:
    mode = sys.argv[1]
    if mode == "fails":
        say({"failed": {"code": "spark_start_failed", "message": "no session"}})
        return
    if mode == "silent":
        time.sleep(60)
    say({"ready": {"version": "9.9.9", "jvm_pid": os.getpid()}})
    sys.stderr.write("some log line\n")
    for line in sys.stdin:
        request = json.loads(line)
        op, args, number = request["op"], request["args"], request["id"]
        if op == "exit":
            return
        if op == "die":
            os._exit(9)
        if op == "garbage":
            sys.stdout.write("this is no JSON\n")
        if op == "event":
            say({"event": args})
        if op == "transform":
            say({"id": number, "error": {"code": "transform_failed", "message": "Unseen label: z."}})
        elif op == "sleep":
            continue
        else:
            say({"id": number, "result": args})


main()
