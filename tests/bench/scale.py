"""Scale: the hub alone, with more users, partitions and nodes, and how long it takes to come back with their states.

Not a comparison: these are the figures that CAPACITY.md counts with. One round.
"""

import json
import signal
import time

import kit
import river
from kit import number, say, table

# Users, partitions.
CASES = ((1_000, 12), (1_000_000, 12), (100_000, 12), (100_000, 48), (100_000, 192))
TINY = ((100, 2), (1_000, 2), (1_000, 4))
# Nodes that share the work of the third case.
NODES = (1, 2, 3)
# Triggers a second where they come as they do in life and not as a backlog, and for how many seconds. With the partitions of
# the first case only: with many, whoever publishes them is too slow.
LIVE, SECONDS = 20_000, 30


def build(options):
    pass


def comes_back(cluster, command, prefix, users):
    """Seconds from the start of a killed hub until a user of every partition has been answered."""
    from confluent_kafka import OFFSET_END, Producer

    reader = cluster.reader(f"{prefix}conversations.events", OFFSET_END)
    producer = Producer({"bootstrap.servers": cluster.address, "partitioner": "murmur2_random", "linger.ms": 0})
    for number_ in range(users, users + 40 * cluster.partitions):
        one = river.trigger(number_, users)
        producer.produce(f"{prefix}triggers.detected", json.dumps(one), one["user_id"])
    producer.flush()
    began, answered = time.monotonic(), set()
    process = kit.Process("hub again", command, cluster.folder)
    while len(answered) < cluster.partitions:
        record = reader.poll(0.1)
        if record is not None and not record.error():
            answered.add(record.partition())
        if time.monotonic() - began > 120:
            kit.fail(f"{len(answered)} of {cluster.partitions} partitions are answered for after 120 s")
    took = time.monotonic() - began
    reader.close()
    process.end()
    return took


def live(cluster, process, prefix, users, first, seconds):
    """CPU µs per trigger, of a hub that has worked all before, where so many come each second."""
    began, triggers = time.time(), LIVE * seconds
    cluster.fill(prefix, triggers, users, "--first", first, "--at", LIVE)
    ended = time.time()
    if triggers / (ended - began) < 0.9 * LIVE:
        kit.fail(f"{triggers} triggers took {ended - began:.1f} s to publish, not {seconds}")
    # What was published last is worked, too.
    time.sleep(1)
    return process.cpu(began, ended + 1) / triggers * 1e6


def together(cluster, triggers, users, nodes):
    """Nodes of one group, begun at once: what they make together."""
    prefix = f"s{nodes}."
    auren, *rest = river.ours(cluster, "hub", users)
    commands = [[auren, "--set", f"node.id=n{place}", *rest] for place in range(nodes)]
    hubs = (f"{nodes} nodes", triggers, "{prefix}auren-converse", commands)
    processes, figures = river.together(cluster, hubs, prefix, users)
    for process in processes:
        process.end()
    cluster.forget(prefix)
    return {"nodes": nodes, **figures}


def run(options, folder):
    rows, cases = [], TINY if options.quick else CASES
    # As many triggers whatever the users: one each of the most.
    triggers = max(options.triggers, *(users for users, _ in cases))
    for number_, (users, partitions) in enumerate(cases):
        place = folder / str(number_)
        place.mkdir()
        cluster = river.Cluster(place, options.auren, partitions)
        prefix = "s."
        command = river.ours(cluster, "hub", users)
        hub = ("AUREN hub", triggers, "{prefix}auren-converse", command)
        process, figures = river.backlog(cluster, hub, prefix, users)
        if partitions == cases[0][1]:
            figures["live"] = live(cluster, process, prefix, users, triggers, 2 if options.quick else SECONDS)
        process.end(signal.SIGKILL)
        again = [str(part).replace("{prefix}", prefix) for part in command]
        figures["back"] = comes_back(cluster, again, prefix, users)
        rows.append({"users": users, "partitions": partitions, "triggers": triggers, **figures})
        say(f"scale: {rows[-1]}")
        cluster.broker.end(signal.SIGKILL)
    users, partitions = cases[2]
    place = folder / "nodes"
    place.mkdir()
    cluster, nodes = river.Cluster(place, options.auren, partitions), []
    for count in NODES:
        nodes.append(together(cluster, triggers, users, count))
        say(f"scale: {nodes[-1]}")
    cluster.broker.end(signal.SIGKILL)
    return {"rows": rows, "nodes": nodes, "of": {"users": users, "partitions": partitions, "triggers": triggers}}


def markdown(result):
    head = ["users", "partitions", "triggers", "triggers/s of a backlog", "CPU µs per trigger, its own", "the broker's", f"CPU µs per trigger at {number(LIVE)}/s, its own", "RSS MiB", "killed and back, s"]
    rows = [
        [number(row["users"]), str(row["partitions"]), number(row["triggers"]), number(row["rate"]), number(row["cpu_own"], 1),
         number(row["cpu_broker"], 1), number(row["live"], 1) if "live" in row else "", number(row["rss"]), number(row["back"], 1)]
        for row in result["rows"]
    ]
    of, share = result["of"], ["nodes", "triggers/s together", "CPU µs per trigger, their own", "the broker's", "RSS MiB together"]
    nodes = [
        [str(one["nodes"]), number(one["rate"]), number(one["cpu_own"], 1), number(one["cpu_broker"], 1), number(one["rss"])]
        for one in result["nodes"]
    ]
    what = f"Nodes that share {of['partitions']} partitions, {number(of['users'])} users and {number(of['triggers'])} triggers:"
    return f"{table(head, rows)}\n\n{what}\n\n{table(share, nodes)}"


def goals(result):
    few, many = result["rows"][0], result["rows"][1]
    users = f"{number(few['users'])} → {number(many['users'])} users"
    grows = {key: many[key] / few[key] - 1 for key in ("live", "cpu_own")}
    return [
        (f"cost per event, {users}, {what}", "≤ 15 % more", f"{number(100 * grows[key])} %", grows[key] <= 0.15)
        for key, what in (("live", f"at {number(LIVE)}/s"), ("cpu_own", "of a backlog"))
    ]


def charts(result):
    return {}
