"""The river: the same triggers through AUREN's hub, a bare loop, Kafka Streams, AutoGen core and plain Python, on one broker.

Each contestant has topics of its own with the same records in them, reads them from the beginning, and writes two
conversation events for each. What it wrote is read back as committed: every trigger must have its two events, once each.
The rate is that of the broker's own clock, which stamps every event when it is appended; the first fifth warms everybody up and
does not count. Then triggers come one by one, and the time of each until its first committed event can be read is taken.
"""

import json
import time
import uuid

import kit
from chart import bars
from kit import cell, number, percentile, say, spread, table

EXPERTS = {b"neuroscientist": 1, b"coach": 2}
PARTITIONS = 8
# librdkafka says only what ends a client: the broker is stopped while clients are there.
QUIET = 2


class Cluster:
    """A broker of our own, and everything that is asked of it from outside."""

    def __init__(self, folder, auren, partitions=PARTITIONS):
        from confluent_kafka.admin import AdminClient

        self.folder, self.auren, self.partitions = folder, auren, partitions
        (folder / "broker").mkdir()
        port, controller = kit.free_port(), kit.free_port()
        command = [kit.ROOT / "tests/services/broker", folder / "broker", port, controller]
        self.broker = kit.Process("broker", command, folder)
        kit.wait_for("broker", lambda: kit.answers(port), 180, self.broker)
        self.address = f"127.0.0.1:{port}"
        self.admin = AdminClient({"bootstrap.servers": self.address, "log_level": QUIET})

    def call(self, prefix, *arguments):
        flags = ["--brokers", self.address, "--set", f"kafka.prefix={prefix}", "--set", f"topics.partitions={self.partitions}"]
        kit.called([self.auren, *flags, *map(str, arguments)], self.folder)

    def prepare(self, prefix, triggers, users):
        """Topics as AUREN makes them, filled; events are stamped by the broker when they are appended."""
        from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource

        self.call(prefix, "topics", "create")
        stamp = ConfigEntry("message.timestamp.type", "LogAppendTime", incremental_operation=AlterConfigOpType.SET)
        topic = ConfigResource(ConfigResource.Type.TOPIC, f"{prefix}conversations.events", incremental_configs=[stamp])
        for done in self.admin.incremental_alter_configs([topic]).values():
            done.result()
        self.fill(prefix, triggers, users)

    def fill(self, prefix, triggers, users, *how):
        sizes = ["--triggers", triggers, "--users", users, "--partitions", self.partitions]
        self.call(prefix, "bench", "contestant", "fill", *sizes, *how)

    def forget(self, prefix):
        names = [name for name in self.admin.list_topics(timeout=10).topics if name.startswith(prefix)]
        for done in self.admin.delete_topics(names).values():
            done.result()

    def group(self, name):
        """Looks at a group from outside: without a subscription it is no member."""
        from confluent_kafka import Consumer

        return Consumer({"bootstrap.servers": self.address, "group.id": name, "log_level": QUIET})

    def reader(self, topic, begin):
        from confluent_kafka import Consumer, TopicPartition

        consumer = Consumer({
            "bootstrap.servers": self.address,
            "group.id": "nobody",
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            "enable.partition.eof": True,
            "log_level": QUIET,
            "fetch.wait.max.ms": 100,
        })
        consumer.assign([TopicPartition(topic, place, begin) for place in range(self.partitions)])
        return consumer


def worked(group, topic, partitions):
    """How many records of a topic a group has committed."""
    from confluent_kafka import KafkaException, TopicPartition

    try:
        places = group.committed([TopicPartition(topic, place) for place in range(partitions)], timeout=10)
    except KafkaException:
        # Its coordinator is not there yet.
        return 0
    return sum(max(0, place.offset) for place in places)


def field(value, name):
    """A text field of JSON that has no escapes, found without parsing a million records."""
    begin = value.index(b'"' + name + b'":"') + len(name) + 4
    return value[begin : value.index(b'"', begin)]


class Tally:
    """Which expert has answered which trigger; a second answer is a fault."""

    def __init__(self, who):
        self.who, self.answered, self.events = who, {}, 0

    def add(self, value):
        cause, bit = field(value, b"cause"), EXPERTS[field(value, b"specialist_id")]
        before = self.answered.get(cause, 0)
        if before & bit:
            kit.fail(f"{self.who} answered {cause.decode()} twice")
        self.answered[cause] = before | bit
        self.events += 1
        return cause

    def complete(self, triggers):
        whole = sum(1 for bits in self.answered.values() if bits == 3)
        if whole != triggers or self.events != 2 * triggers:
            kit.fail(f"{self.who} is not complete: {self.events} events, {whole} of {triggers} triggers have both")


def count(cluster, contestant, topic, triggers):
    """Reads all that is committed: the moments at which a fifth and at which all was appended, and the events between."""
    from confluent_kafka import OFFSET_BEGINNING, KafkaError

    tally, moments, ended = Tally(contestant), {}, set()
    reader = cluster.reader(topic, OFFSET_BEGINNING)
    while len(ended) < cluster.partitions:
        for record in reader.consume(10_000, timeout=1):
            if record.error():
                if record.error().code() != KafkaError._PARTITION_EOF:
                    kit.fail(f"reading {topic}: {record.error()}")
                ended.add(record.partition())
                continue
            tally.add(record.value())
            moment = record.timestamp()[1]
            moments[moment] = moments.get(moment, 0) + 1
    reader.close()
    tally.complete(triggers)
    before, warm = 0, min(moments)
    for warm in sorted(moments):
        before += moments[warm]
        if before >= tally.events / 5:
            break
    return warm / 1000, max(moments) / 1000, tally.events - before


def trigger(number_, users):
    """As `auren bench contestant fill` makes them."""
    return {
        "trigger_id": str(uuid.uuid5(uuid.NAMESPACE_URL, f"paced-{number_}")),
        "user_id": f"user-{number_ % users}",
        "trigger_type": "hrv_drop",
        "severity": 0.8,
        "context_window": [f"event-{number_}-1", f"event-{number_}-2"],
        "recommended_agents": ["neuroscientist", "coach"],
        "message": "Heart-rate variability over the last week is clearly below the usual range.",
        "timestamp": "2024-10-04T00:00:00Z",
    }


def latency(cluster, contestant, prefix, rate, seconds, users):
    """Milliseconds from each trigger to its first committed event, sent one by one at a steady rate."""
    from confluent_kafka import OFFSET_END, Producer

    reader = cluster.reader(f"{prefix}conversations.events", OFFSET_END)
    at_end = set()
    while len(at_end) < cluster.partitions:
        record = reader.poll(10)
        if record is None:
            kit.fail("the end of the events cannot be found")
        at_end.add(record.partition())
    producer = Producer({"bootstrap.servers": cluster.address, "partitioner": "murmur2_random", "linger.ms": 0, "log_level": QUIET})
    tally, sent, took, total = Tally(contestant), {}, [], rate * seconds
    began = time.perf_counter()
    limit = began + seconds + 30
    while len(tally.answered) < total or tally.events < 2 * total:
        now = time.perf_counter()
        if now > limit:
            tally.complete(total)
        while len(sent) < total and now >= began + len(sent) / rate:
            one = trigger(len(sent), users)
            sent[one["trigger_id"].encode()] = time.perf_counter()
            producer.produce(f"{prefix}triggers.detected", json.dumps(one), one["user_id"])
        producer.poll(0)
        due = began + len(sent) / rate - time.perf_counter() if len(sent) < total else 0.1
        record = reader.poll(max(0.0, min(due, 0.1)))
        if record is None or record.error():
            continue
        now = time.perf_counter()
        known = len(tally.answered)
        cause = tally.add(record.value())
        if len(tally.answered) > known:
            took.append((now - sent[cause]) * 1000)
    reader.close()
    tally.complete(total)
    # The first second warms connections up, for everybody.
    return took[rate:] if seconds > 2 else took


def build(options):
    options.streams = kit.maven("streams")


def ours(cluster, part, users):
    flags = ["--brokers", cluster.address, "--set", "kafka.prefix={prefix}", "--set", "log.level=warn"]
    sizes = ["--users", users, "--partitions", cluster.partitions, "--max-batch", 5000]
    return [cluster.auren, *flags, "bench", "contestant", part, *sizes]


def contestants(cluster, options):
    """Name, triggers of a round, consumer group, and how to start it; the prefix is put in the place of {prefix}."""
    venv, address = kit.CACHE / "venv/bin/python", cluster.address
    hub, loop = (ours(cluster, part, options.users) for part in ("hub", "passthrough"))
    python = [venv, kit.HERE / "autogen/river.py"]
    java = ["java", "-Xmx1g", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp", options.streams, "River", address]
    many, some, few = options.triggers, options.triggers // 2, options.triggers // 25
    return [
        ("AUREN hub", many, "{prefix}auren-converse", hub),
        ("bare rdkafka loop", many, "{prefix}auren-bench", loop),
        ("Kafka Streams", many, "{prefix}streams", [*java, "{prefix}", "memory"]),
        ("Kafka Streams, 10 ms", many, "{prefix}streams", [*java, "{prefix}", "memory", "commit.interval.ms=10"]),
        ("Python", some, "{prefix}python", [*python, "plain", address, "{prefix}", 5000]),
        ("AutoGen publish", few, "{prefix}python", [*python, "publish", address, "{prefix}", 500]),
        ("AutoGen send", few, "{prefix}python", [*python, "send", address, "{prefix}", 500]),
    ]


def backlog(cluster, contestant, prefix, users):
    """Fills topics, has them worked, and counts; the process goes on."""
    name, triggers, group, command = contestant
    processes, figures = together(cluster, (name, triggers, group, [command]), prefix, users)
    return processes[0], figures


def together(cluster, contestant, prefix, users):
    """The same with several processes, which are begun at once by a command each."""
    name, triggers, group, commands = contestant
    cluster.prepare(prefix, triggers, users)
    processes = [
        kit.Process(name if len(commands) == 1 else f"{name} {place}", [str(part).replace("{prefix}", prefix) for part in command], cluster.folder)
        for place, command in enumerate(commands, 1)
    ]
    topic, looking = f"{prefix}triggers.detected", cluster.group(group.replace("{prefix}", prefix))
    at_end = lambda: worked(looking, topic, cluster.partitions) >= triggers
    kit.wait_for(f"{name} at the end of its triggers", at_end, 240, processes[0])
    looking.close()
    warm, last, events = count(cluster, name, f"{prefix}conversations.events", triggers)
    done = max(events, 1) / 2
    figures = {
        "rate": done / max(last - warm, 1e-3),
        "cpu_own": sum(process.cpu(warm, last) for process in processes) / done * 1e6,
        "cpu_broker": cluster.broker.cpu(warm, last) / done * 1e6,
        "rss": sum(process.rss() for process in processes) / 2**20,
    }
    figures["cpu"] = figures["cpu_own"] + figures["cpu_broker"]
    return processes, figures


def once(cluster, options, contestant, prefix):
    process, figures = backlog(cluster, contestant, prefix, options.users)
    began = time.time()
    took = latency(cluster, contestant[0], prefix, options.rate, options.seconds, options.users)
    figures["p50"], figures["p99"] = percentile(took, 0.5), percentile(took, 0.99)
    # What little work costs, where every trigger or two has a commit of its own.
    figures["cpu_paced"], figures["cpu_paced_broker"] = (
        one.cpu(began, time.time()) / (options.rate * options.seconds) * 1e6 for one in (process, cluster.broker)
    )
    process.end()
    cluster.forget(prefix)
    return figures


def run(options, folder):
    cluster = Cluster(folder, options.auren)
    entrants = contestants(cluster, options)
    rounds = {name: [] for name, *_ in entrants}
    # The broker is a virtual machine too: it is warmed up before anybody counts.
    once(cluster, options, entrants[1], "warm.")
    for turn in range(options.rounds):
        # Every round begins with another one.
        for place in range(len(entrants)):
            contestant = entrants[(place + turn) % len(entrants)]
            figures = once(cluster, options, contestant, f"r{turn}-{(place + turn) % len(entrants)}.")
            rounds[contestant[0]].append(figures)
            say(f"river, round {turn + 1}: {contestant[0]} " + ", ".join(f"{key} {number(value, 1)}" for key, value in figures.items()))
    cluster.broker.end()
    peers = {
        name: {key: spread([figures[key] for figures in all_]) for key in all_[0]} for name, all_ in rounds.items()
    }
    sizes = {name: triggers for name, triggers, *_ in entrants}
    return {"peers": peers, "triggers": sizes, "ratios": ratios(rounds), "rate": options.rate}


def ratios(rounds):
    """The hub beside the others, each within its round."""
    hub = rounds["AUREN hub"]
    of = lambda name, key: spread([ours[key] / theirs[key] for ours, theirs in zip(hub, rounds[name])])
    return {name: {key: of(name, key) for key in ("rate", "cpu", "p50")} for name in rounds if name != "AUREN hub"}


def markdown(result):
    head = [
        "contestant", "triggers/s", "CPU µs per trigger, all", "its own", "the broker's", "RSS MiB",
        f"p50 ms at {result['rate']}/s", "p99 ms", f"CPU µs per trigger at {result['rate']}/s, own + broker's",
        "triggers a round",
    ]
    rows = []
    for name, figures in result["peers"].items():
        cells = [cell(figures[key], digits) for key, digits in
                 (("rate", 0), ("cpu", 1), ("cpu_own", 1), ("cpu_broker", 1), ("rss", 0), ("p50", 1), ("p99", 1))]
        paced = " + ".join(number(figures[key]["median"]) for key in ("cpu_paced", "cpu_paced_broker"))
        rows.append([name, *cells, paced, number(result["triggers"][name])])
    return table(head, rows)


def goals(result):
    """What issue 10 asks for: figure, goal, what was measured, whether it is met."""
    by, ours = result["ratios"], result["peers"]["AUREN hub"]
    bare, streams = by["bare rdkafka loop"], by["Kafka Streams"]
    autogen = max((by["AutoGen publish"], by["AutoGen send"]), key=lambda one: -one["rate"]["median"])
    longer = 1 / streams["p50"]["median"]
    p50, p99 = ours["p50"]["median"], ours["p99"]["median"]
    return [
        ("hub beside the bare loop, triggers/s", "≥ 0.85", number(bare["rate"]["median"], 2), bare["rate"]["median"] >= 0.85),
        ("hub beside Kafka Streams, triggers/s", "≥ 2", number(streams["rate"]["median"], 2), streams["rate"]["median"] >= 2),
        ("hub beside Kafka Streams, CPU per trigger", "≤ 0.25", number(streams["cpu"]["median"], 2), streams["cpu"]["median"] <= 0.25),
        ("hub beside AutoGen core (the faster way), triggers/s", "≥ 25", number(autogen["rate"]["median"], 1), autogen["rate"]["median"] >= 25),
        (f"trigger → committed event at {result['rate']}/s, p50", "≤ 8 ms", f"{number(p50, 1)} ms", p50 <= 8),
        (f"trigger → committed event at {result['rate']}/s, p99", "≤ 40 ms", f"{number(p99, 1)} ms", p99 <= 40),
        ("Kafka Streams' p50 beside the hub's", "≥ 6", number(longer, 1), longer >= 6),
    ]


def charts(result):
    peers = result["peers"]
    of = lambda key: {name: one[key] for name, one in peers.items()}
    return {
        "river-rate": bars("Triggers a second, two events out of each", of("rate"), 0),
        "river-cpu": bars("CPU µs per trigger, the broker's included", of("cpu"), 1),
        "river-p50": bars(f"Trigger to committed event at {result['rate']} a second, p50 in ms", of("p50"), 1),
    }
