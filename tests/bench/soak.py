"""Soak: mixed traffic with faults for an hour, and whether what a node, Redis and the state topics take stays flat.

The same people all the time: `auren verify` sends triggers and messages and judges every effect at the end, and measurements of
invented wearers come month after month, through enrich and detect. Every half minute something is stopped, emptied or killed,
but never the node, whose memory is what is looked at.
"""

import datetime
import json
import os
import signal
import subprocess
import threading
import time

import kit
import river
from kit import number, say, table

PEOPLE, RATE = 300, 50
WEARERS, DAYS = 20, 30
# Seconds between looks, and between faults.
LOOK, FAULT = 10, 30
PARTITIONS = 4
STATES = ("auren.state.enrich", "auren.state.detect", "auren.state.converse")
PREFIX = "soak."


def build(options):
    kit.need("redis-server", "soak")


class Place:
    """A broker, a Redis and a node, and the commands of AUREN on them."""

    def __init__(self, folder, options):
        from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource

        self.folder, self.auren = folder, options.auren
        self.cluster = river.Cluster(folder, options.auren, PARTITIONS)
        self.port = kit.free_port()
        self.redis = self.start_redis()
        self.cluster.call(PREFIX, "topics", "create")
        # As on a cluster that has run for long: a segment is compacted soon after it was written, and what commits leave behind
        # (a marker in every partition, kept for delete.retention.ms, a day) goes as fast as it comes.
        soon = {"segment.ms": "30000", "min.cleanable.dirty.ratio": "0.1", "segment.bytes": "4194304",
                "delete.retention.ms": "60000"}
        topics = [
            ConfigResource(ConfigResource.Type.TOPIC, PREFIX + name, incremental_configs=[
                ConfigEntry(key, value, incremental_operation=AlterConfigOpType.SET) for key, value in soon.items()
            ])
            for name in STATES
        ]
        for done in self.cluster.admin.incremental_alter_configs(topics).values():
            done.result()
        self.node = self.start("serve", "--roles", "enrich,detect,converse")

    def start(self, *command):
        flags = ["--brokers", self.cluster.address, "--set", f"kafka.prefix={PREFIX}", "--set", f"redis.url=redis://127.0.0.1:{self.port}/"]
        flags += ["--set", "http.address=", "--set", "log.level=warn", "--set", "lanes.max_resident=200"]
        return kit.Process(command[0], [self.auren, *flags, *command], self.folder)

    def start_redis(self):
        process = kit.Process("redis", [kit.ROOT / "tests/services/redis", self.folder / "redis", self.port], self.folder)
        kit.wait_for("Redis", lambda: kit.answers(self.port), 20, process)
        return process

    def ask_redis(self, *words):
        asked = subprocess.run(["redis-cli", "-p", str(self.port), *words], capture_output=True, text=True, timeout=10)
        return asked.stdout

    def looks(self):
        """What is taken now; none of it where Redis is away."""
        memory = [line for line in self.ask_redis("INFO", "memory").splitlines() if line.startswith("used_memory:")]
        logs = self.folder / "broker/kafka/data"
        states = sum(
            file.stat().st_size for name in STATES for file in logs.glob(f"{PREFIX}{name}-*/*.log") if file.exists()
        )
        pid = self.node.pid
        return {
            "node's memory, MiB": self.node.rss() / 2**20,
            "node's open files": len(os.listdir(f"/proc/{pid}/fd")),
            "node's threads": len(os.listdir(f"/proc/{pid}/task")),
            "Redis's memory, MiB": int(memory[0].split(":")[1]) / 2**20 if memory else None,
            "state topics, MiB": states / 2**20,
        }

    # What happens to it, by turns.
    def node_stops(self):
        self.node.child.send_signal(signal.SIGSTOP)
        time.sleep(4)
        self.node.child.send_signal(signal.SIGCONT)

    def redis_is_emptied(self):
        self.ask_redis("FLUSHALL")

    def broker_stops(self):
        self.cluster.broker.child.send_signal(signal.SIGSTOP)
        time.sleep(4)
        self.cluster.broker.child.send_signal(signal.SIGCONT)

    def redis_dies(self):
        self.redis.end(signal.SIGKILL)
        time.sleep(4)
        self.redis = self.start_redis()


def wear(place, seconds, over):
    """Measurements of the same wearers, month after month."""
    day = datetime.date(2020, 1, 1)
    while not over.wait(seconds):
        month = ["simulate", "--users", str(WEARERS), "--days", str(DAYS), "--start", str(day)]
        process = place.start(*month)
        process.child.wait(120)
        process.end()
        day += datetime.timedelta(days=DAYS)


def run(options, folder):
    place = Place(folder, options)
    seconds = int(options.minutes * 60)
    kit.wait_for("a node at work", lambda: "ERROR" not in place.node.tail(), 30, place.node)
    verifying = place.start(
        "verify", "--users", str(PEOPLE), "--rate", str(RATE), "--seconds", str(seconds), "--settle-seconds", "240", "--json"
    )
    over = threading.Event()
    wearing = threading.Thread(target=wear, args=(place, min(60, seconds / 4), over), daemon=True)
    wearing.start()
    faults = [place.node_stops, place.redis_is_emptied, place.broker_stops, place.redis_dies]
    began, looks, happened = time.monotonic(), [], 0
    while (passed := time.monotonic() - began) < seconds:
        time.sleep(LOOK)
        looks.append({"at": time.monotonic() - began, **place.looks()})
        if passed // FAULT > happened:
            faults[happened % len(faults)]()
            happened += 1
        if place.node.poll() is not None:
            kit.fail(f"the node ended; the end of its log:\n{place.node.tail()}")
    over.set()
    verifying.child.wait(600)
    said = json.loads(verifying.log.read_text().strip().splitlines()[-1])
    wearing.join()
    place.node.end()
    say(f"soak: {json.dumps(said['verdict'])}")
    # The cluster is stopped by its folder's end.
    place.cluster.broker.end(signal.SIGKILL)
    return {"looks": looks, "minutes": options.minutes, "faults": happened, "verdict": said["verdict"], "good": said["good"]}


def growth(looks, key):
    """By how much a straight line through the later half rises in an hour, in percent of its mean."""
    half = looks[-1]["at"] / 2
    points = [(look["at"] / 3600, look[key]) for look in looks if look["at"] >= half and look[key] is not None]
    mean_x, mean_y = (sum(point[side] for point in points) / len(points) for side in (0, 1))
    spread = sum((x - mean_x) ** 2 for x, _ in points) or 1
    slope = sum((x - mean_x) * (y - mean_y) for x, y in points) / spread
    return 100 * slope / mean_y if mean_y else 0.0


def kinds(result):
    return [key for key in result["looks"][0] if key != "at"]


def markdown(result):
    verdict, rows = result["verdict"], []
    for key in kinds(result):
        values = [look[key] for look in result["looks"] if look[key] is not None]
        thirds = [values[len(values) // 3], values[2 * len(values) // 3], values[-1]]
        rows.append([key, *(number(value, 1) for value in thirds), number(max(values), 1), f"{growth(result['looks'], key):+.1f} %"])
    head = ["what is taken", "after a third", "after two", "at the end", "most", "growth an hour, later half"]
    counts = ", ".join(f"{name} {number(verdict[name])}" for name in ("sent", "acked", "lost", "duplicated", "out_of_order"))
    return f"{number(result['minutes'])} minutes, {result['faults']} faults: {counts}\n\n{table(head, rows)}"


def goals(result):
    rows = [("everything in the soak answered once, in order", "yes", "yes" if result["good"] else "no", result["good"])]
    for key in kinds(result):
        grows = growth(result["looks"], key)
        rows.append((f"{key}: growth an hour in the soak's later half", "≤ 5 %", f"{grows:+.1f} %", grows <= 5))
    return rows


def charts(result):
    return {}
