"""Triggers in, two conversation events out for each, in Python: `plain`, or with AutoGen core's `publish` or `send`.

    river.py plain|publish|send BROKERS PREFIX BATCH

BATCH is the most triggers of one transaction.

The loop is confluent-kafka's own transactional example: consume, work, produce, send the offsets, commit.
A turn counter per user is kept in memory: by AutoGen in the user's two agents, without it in a dictionary.
"""

import asyncio
import json
import sys
import uuid

from confluent_kafka import Consumer, Producer, TopicPartition

SENTENCE = "Your overnight HRV is a quarter under your usual range. Keep today's session easy, and aim for an early night."
SPACE = uuid.UUID("2f3e8a30-7d0b-5b5c-9a35-0a2f6c5d4e11")


def derived(*cause):
    """The same for the same cause."""
    return str(uuid.uuid5(SPACE, "\0".join(cause)))


def event(trigger, agent, turn, seat, seats):
    user, cause = trigger["user_id"], trigger["trigger_id"]
    return {
        "event_id": derived(user, cause, agent),
        "conversation_id": derived(user, cause),
        "user_id": user,
        "specialist_id": agent,
        "message_type": "specialist_response",
        "content": SENTENCE,
        "metadata": {
            "cause": cause,
            "cause_type": "trigger",
            "turn": turn,
            "trigger_type": trigger["trigger_type"],
            "severity": trigger["severity"],
            "consult_id": derived("consult", user, cause, agent),
            "agent_version": "1",
            "panel": {"seat": seat, "seats": seats},
        },
        "timestamp": trigger["timestamp"],
    }


def headers(said):
    return [
        ("ce_specversion", b"1.0"),
        ("ce_id", said["event_id"].encode()),
        ("ce_type", b"auren.conversation.event.v1"),
        ("ce_source", b"/auren"),
        ("ce_time", said["timestamp"].encode()),
        ("content-type", b"application/json"),
    ]


class Plain:
    """No framework: a turn counter per user."""

    def __init__(self):
        self.turns = {}

    async def begin(self):
        pass

    async def work(self, triggers):
        said = []
        for trigger in triggers:
            turn = self.turns[trigger["user_id"]] = self.turns.get(trigger["user_id"], 0) + 1
            agents = trigger["recommended_agents"]
            said.extend(event(trigger, agent, turn, seat, len(agents)) for seat, agent in enumerate(agents, 1))
        return said


async def run(worker, brokers, prefix, batch):
    await worker.begin()
    consumer = Consumer({
        "bootstrap.servers": brokers,
        "group.id": f"{prefix}python",
        "auto.offset.reset": "earliest",
        "enable.auto.commit": False,
        "isolation.level": "read_committed",
    })
    producer = Producer({
        "bootstrap.servers": brokers,
        "transactional.id": f"{prefix}python",
        "partitioner": "murmur2_random",
        "linger.ms": 0,
        "queue.buffering.max.messages": 1_000_000,
    })
    producer.init_transactions()
    consumer.subscribe([f"{prefix}triggers.detected"])
    topic = f"{prefix}conversations.events"
    while True:
        first = consumer.poll(0.05)
        if first is None:
            continue
        records = [first, *consumer.consume(int(batch) - 1, timeout=0)]
        for record in records:
            if record.error():
                raise RuntimeError(record.error())
        producer.begin_transaction()
        for said in await worker.work([json.loads(record.value()) for record in records]):
            producer.produce(topic, json.dumps(said, separators=(",", ":")), said["user_id"], headers=headers(said))
        ends = {}
        for record in records:
            ends[record.partition()] = record.offset() + 1
        offsets = [TopicPartition(f"{prefix}triggers.detected", place, end) for place, end in ends.items()]
        # A commit that finds events under way waits for them in long steps.
        while len(producer):
            producer.poll(0.001)
        producer.send_offsets_to_transaction(offsets, consumer.consumer_group_metadata())
        producer.commit_transaction()


def worker(kind):
    if kind == "plain":
        return Plain()
    import agents

    return agents.Publish() if kind == "publish" else agents.Send()


if __name__ == "__main__":
    asyncio.run(run(worker(sys.argv[1]), *sys.argv[2:]))
