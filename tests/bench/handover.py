"""Hand-over: one of three nodes is killed, and everybody whose session it had asks at once. How long until each is answered?

The node is started again at once under its name, as a supervisor does it, or it stays away and the others take its users over
when the broker has missed it for a session. Every user has a saved state before that, which whoever takes them over has to
read, and others are at work all the time, so that the killed node leaves a transaction open.
"""

import json
import signal
import threading
import time
from collections import Counter

import kit
import river
from kit import number, percentile, say, table

NODES = ("n1", "n2", "n3")
# Users with a state.
CASES = (1_000, 100_000)
TINY = (200,)
# Asked of each way: in each partition so many users.
ASKED = 40
# Triggers a second of other users meanwhile.
RATE = 200
GROUP = "{prefix}auren-converse"
# What becomes of the killed node, and how long a session is, in ms.
WAYS = (("started again at once", 6000), ("stays away", 6000), ("stays away", 2000))


def build(options):
    pass


class Nodes:
    """Three hubs that converse, on topics of their own."""

    def __init__(self, cluster, prefix, session):
        self.cluster, self.prefix, self.session, self.begun = cluster, prefix, session, Counter()
        self.running = {name: self.start(name) for name in NODES}

    def start(self, name):
        flags = ["--brokers", self.cluster.address, "--set", f"kafka.prefix={self.prefix}", "--set", "log.level=warn", "--set", "http.address="]
        flags += ["--set", f"kafka.session_timeout_ms={self.session}"]
        self.begun[name] += 1
        folder = self.cluster.folder / f"{self.prefix}{name}"
        folder.mkdir(exist_ok=True)
        return kit.Process(f"{name} {self.begun[name]}", [self.cluster.auren, *flags, "serve", "--node", name, "--roles", "converse"], folder)

    def held(self):
        """The partitions of each node, where the group is at rest."""
        from confluent_kafka import ConsumerGroupState

        group = GROUP.replace("{prefix}", self.prefix)
        described = self.cluster.admin.describe_consumer_groups([group])[group].result()
        held = {
            member.group_instance_id: {place.partition for place in member.assignment.topic_partitions}
            for member in described.members
        }
        whole = sum(map(len, held.values())) == self.cluster.partitions
        return held if described.state == ConsumerGroupState.STABLE and whole else None

    def at_rest(self, members):
        return kit.wait_for(f"{members} members at rest", lambda: (held := self.held()) and len(held) == members and held, 60)

    def end(self):
        for process in self.running.values():
            process.end()


class Asking:
    """Triggers for chosen users, and the moment at which each is first answered."""

    def __init__(self, cluster, prefix, users):
        from confluent_kafka import OFFSET_END, Producer

        self.topic, self.users, self.number = f"{prefix}triggers.detected", users, 10_000_000
        self.reader = cluster.reader(f"{prefix}conversations.events", OFFSET_END)
        at_end = set()
        while len(at_end) < cluster.partitions:
            record = self.reader.poll(10)
            if record is not None and record.error():
                at_end.add(record.partition())
        self.producer = Producer({"bootstrap.servers": cluster.address, "partitioner": "murmur2_random", "linger.ms": 0, "log_level": river.QUIET})
        self.places = {}

    def send(self, users, delivered=None):
        """One trigger for each user; their ids."""
        causes = {}
        for user in users:
            self.number += 1
            one = river.trigger(self.number, self.users) | {"user_id": user}
            causes[one["trigger_id"].encode()] = user
            self.producer.produce(self.topic, json.dumps(one), user, on_delivery=delivered)
        self.producer.flush()
        return causes

    def answered(self, causes, seconds):
        """The moment at which the first answer to each was read; each has two, once."""
        tally, moments, limit = river.Tally("the nodes"), {}, time.monotonic() + seconds
        while tally.events < 2 * len(causes):
            if time.monotonic() > limit:
                tally.complete(len(causes))
            record = self.reader.poll(0.1)
            if record is None or record.error() or river.field(record.value(), b"cause") not in causes:
                continue
            moments.setdefault(tally.add(record.value()), time.monotonic())
        tally.complete(len(causes))
        return {causes[cause]: moment for cause, moment in moments.items()}

    def by_partition(self):
        """Some users of each partition, as the broker says where their records are."""
        places = {}
        took = lambda error, record: places.setdefault(record.partition(), []).append(record.key().decode())
        causes = self.send([f"user-{place}" for place in range(min(self.users, ASKED * 20))], took)
        self.answered(causes, 120)
        return {place: users[:ASKED] for place, users in places.items()}


class Others:
    """Triggers of users that nobody watches, at a steady rate, until it is left."""

    def __init__(self, asking):
        self.asking, self.over = asking, threading.Event()

    def __enter__(self):
        self.thread = threading.Thread(target=self.talk, daemon=True)
        self.thread.start()

    def talk(self):
        # In the whole of a million, so that no user is one of those who are asked.
        number_, began = 0, time.monotonic()
        while not self.over.wait(max(0.0, began + number_ / RATE - time.monotonic())):
            one = river.trigger(20_000_000 + number_, 1_000_000) | {"user_id": f"other-{number_ % 1000}"}
            self.asking.producer.produce(self.asking.topic, json.dumps(one), one["user_id"])
            number_ += 1

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()


def killed(nodes, asking, places, again):
    """Seconds from the kill of a node until each of its users has been answered."""
    held = nodes.at_rest(len(NODES))
    name = max(NODES, key=lambda one: len(held[member_of(held, one)]))
    moved = held[member_of(held, name)]
    with Others(asking):
        time.sleep(1)
        nodes.running[name].end(signal.SIGKILL)
        began = time.monotonic()
        if again:
            nodes.running[name] = nodes.start(name)
        causes = asking.send([user for place in sorted(moved) for user in places.get(place, ())])
        took = [moment - began for moment in asking.answered(causes, 120).values()]
    if not again:
        nodes.at_rest(len(NODES) - 1)
        nodes.running[name] = nodes.start(name)
    return took


def member_of(held, node):
    return next(member for member in held if member.startswith(node))


def run(options, folder):
    rows = []
    for users in TINY if options.quick else CASES:
        for turn, (way, session) in enumerate(WAYS):
            place = folder / f"{users}-{turn}"
            place.mkdir()
            cluster, prefix = river.Cluster(place, options.auren, 12), "h."
            cluster.prepare(prefix, users, users)
            nodes = Nodes(cluster, prefix, session)
            looking = cluster.group(GROUP.replace("{prefix}", prefix))
            done = lambda: river.worked(looking, f"{prefix}triggers.detected", cluster.partitions) >= users
            kit.wait_for("a state of every user", done, 240, nodes.running["n1"])
            looking.close()
            asking = Asking(cluster, prefix, users)
            places = asking.by_partition()
            again = way == WAYS[0][0]
            took = [second for _ in range(options.rounds) for second in killed(nodes, asking, places, again)]
            row = {"users": users, "way": way, "session": session / 1000, "answers": len(took),
                   "p50": percentile(took, 0.5), "p99": percentile(took, 0.99), "max": max(took)}
            say(f"handover: {row}")
            rows.append(row)
            nodes.end()
            cluster.broker.end(signal.SIGKILL)
    return {"rows": rows, "kills": options.rounds}


def markdown(result):
    head = ["users with a state", "the killed node", "session s", "answers awaited", "p50 s", "p99 s", "max s"]
    rows = [
        [number(row["users"]), row["way"], number(row["session"]), number(row["answers"]), number(row["p50"], 1), number(row["p99"], 1), number(row["max"], 1)]
        for row in result["rows"]
    ]
    return table(head, rows)


def goals(result):
    return [
        (f"kill -9 → first answer of the moved users, three nodes, {number(row['users'])} users, p99; the node {row['way']}, session of {number(row['session'])} s",
         "≤ 5 s", f"{number(row['p99'], 1)} s", row["p99"] <= 5)
        for row in result["rows"]
    ]


def charts(result):
    return {}
