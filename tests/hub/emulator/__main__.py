# SPDX-License-Identifier: Apache-2.0
"""Runs the emulator by hand, until standard input ends or it is interrupted.

    python3 -m emulator [--port N] [--xet]

prints one line of JSON: endpoint, storage, elsewhere, tokens of "ann" (write), "reader" (read only), "bob".
ann owns ann/adapter (public) and ann/secret (private), acme is an organisation of ann and bob.
"""
import argparse
import json
import sys
import threading

from . import Hub


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--port", type=int, default=0)
    options.add_argument("--xet", action="store_true")
    options = options.parse_args()
    with Hub(options.port, options.xet) as hub:
        tokens = {"ann": hub.world.add_user("ann"), "bob": hub.world.add_user("bob"), "reader": hub.world.add_token("ann", "read")}
        hub.world.add_org("acme", ann="admin", bob="read")
        hub.world.create("ann/adapter")
        hub.world.create("ann/secret", private=True)
        print(json.dumps({"endpoint": hub.url, "storage": hub.storage.url, "elsewhere": hub.elsewhere.url, "tokens": tokens}), flush=True)
        seen = 0
        end = threading.Event()
        threading.Thread(target=lambda: (sys.stdin.read(), end.set()), daemon=True).start()
        while not end.wait(0.2):
            log = hub.requests()
            for request in log[seen:]:
                print(request, file=sys.stderr, flush=True)
            seen = len(log)
            for text in hub.crashes():
                print(text, file=sys.stderr)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        pass
