"""Sockets: what an idle, signed-in WebSocket costs a server, in bytes of its memory.

Each server is asked by the same client, in a process of its own: every socket shows a JSON Web Token of another user, and
counts when the server has answered that it is signed in. What the server's memory grew by, some seconds later, is divided by
their number; all of them must still be open then.
"""

import resource
import time

import kit
from chart import bars
from kit import cell, number, say, spread, table

SECRET = "only-for-the-bench-and-long-enough-for-it"


def build(options):
    options.opener, options.centrifuge, options.socketio = kit.go("opener"), kit.go("centrifuge"), kit.npm("socketio")
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    if options.sockets > most - 200:
        kit.fail(f"--sockets {options.sockets}: a process may open {most} files here (ulimit -Hn)")


def servers(options):
    """Name, the client's kind, and how to start it at a port."""
    room = options.sockets + 100
    auren = [
        options.auren, "--set", "http.address=127.0.0.1:{port}", "--set", f"http.max_connections={room}",
        "--set", f"chat.max_sockets={room}", "--set", f"tokens.secret={SECRET}", "--set", "log.level=warn",
        "serve", "--roles", "converse",
    ]
    centrifuge = [options.centrifuge, "127.0.0.1:{port}", SECRET]
    socketio = ["node", options.socketio / "server.js", "{port}", SECRET]
    return [
        ("AUREN gateway", "auren", auren),
        ("Centrifuge, defaults", "centrifuge", [*centrifuge, "defaults"]),
        ("Centrifuge, tuned", "centrifuge", [*centrifuge, "tuned"]),
        ("Socket.IO", "socketio", socketio),
    ]


def once(options, server, folder):
    name, kind, command = server
    port, folder = kit.free_port(), folder / f"{time.monotonic_ns()}"
    folder.mkdir()
    process = kit.Process(name, [str(part).replace("{port}", str(port)) for part in command], folder)
    kit.wait_for(f"answer of {name}", lambda: kit.answers(port), 30, process)
    settle = 1 if options.quick else 4
    time.sleep(min(settle, 2))
    before, began = process.rss(), time.monotonic()
    client = kit.Process("opener", [options.opener, kind, f"127.0.0.1:{port}", options.sockets, SECRET], folder)
    kit.wait_for(f"sockets of {name}", lambda: "open" in client.log.read_text(), 180, client)
    opened = time.monotonic() - began
    time.sleep(settle)
    grown = process.rss() - before
    client.end()
    said = client.log.read_text()
    if "lost 0\n" not in said:
        kit.fail(f"{name} did not keep its sockets: {said}")
    process.end()
    return {"bytes": grown / options.sockets, "empty": before / 2**20, "opened": options.sockets / opened}


def run(options, folder):
    entrants = servers(options)
    rounds = {name: [] for name, *_ in entrants}
    for turn in range(options.rounds):
        for place in range(len(entrants)):
            server = entrants[(place + turn) % len(entrants)]
            figures = once(options, server, folder)
            rounds[server[0]].append(figures)
            say(f"sockets, round {turn + 1}: {server[0]} {number(figures['bytes'])} bytes each")
    peers = {name: {key: spread([one[key] for one in all_]) for key in all_[0]} for name, all_ in rounds.items()}
    beside = [
        ours["bytes"] / theirs["bytes"] for ours, theirs in zip(rounds["AUREN gateway"], rounds["Centrifuge, defaults"])
    ]
    return {"peers": peers, "sockets": options.sockets, "beside_centrifuge": spread(beside)}


def markdown(result):
    head = ["server", f"bytes per socket, {number(result['sockets'])} idle", "RSS MiB with none", "sockets opened a second"]
    rows = [
        [name, cell(one["bytes"]), cell(one["empty"]), cell(one["opened"])] for name, one in result["peers"].items()
    ]
    return table(head, rows)


def goals(result):
    share = result["beside_centrifuge"]["median"]
    return [("bytes per idle socket beside Centrifuge's defaults", "≤ 0.33", number(share, 2), share <= 1 / 3)]


def charts(result):
    figures = {name: one["bytes"] for name, one in result["peers"].items()}
    return {"sockets": bars("Bytes of memory per idle, signed-in socket", figures, 0)}
