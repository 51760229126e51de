"""An agent of AUREN that is asked over Kafka: it says good night.

    pip install confluent-kafka
    python3 kafka_agent.py 127.0.0.1:9092 sleeper     # in auren.toml: [agents.kafka.sleeper]; then `auren topics create`
"""

import json
import sys

from confluent_kafka import Consumer, KafkaException, Producer

brokers, name = sys.argv[1:3]
prefix = sys.argv[3] if len(sys.argv) > 3 else ""  # kafka.prefix, where AUREN has one
consumer = Consumer(
    {
        "bootstrap.servers": brokers,
        "group.id": f"{prefix}agent-{name}",
        "group.instance.id": "1",  # who is started again goes on at once
        "auto.offset.reset": "earliest",
        "enable.auto.commit": False,
    }
)
producer = Producer({"bootstrap.servers": brokers, "partitioner": "murmur2_random", "enable.idempotence": True})


def advise(consult):
    nights = [seen for seen in consult["recent"] if seen["event_type"] == "sleep_analysis"]
    before = [said["agent"] for said in consult["panel"]]
    message = f"Sleep on it. I know of {len(nights)} nights."
    return {"message": message, "reasons": [f"{agent} spoke before." for agent in before], "note": "said good night"}


def serve(answer=advise):
    consumer.subscribe([f"{prefix}agents.{name}.requests"])
    print(f"agents.{name}.requests", flush=True)
    while True:
        request = consumer.poll(1.0)
        if request is None:
            continue
        if request.error():
            raise KafkaException(request.error())
        headers = dict(request.headers())
        advice = answer(json.loads(request.value()))
        if advice is not None:
            consult = {"auren-consult": headers["auren-consult"]}
            producer.produce(headers["auren-reply-to"].decode(), json.dumps(advice), request.key(), headers=consult)
            producer.flush()
        consumer.commit(request)  # what was not answered when it died is asked again


if __name__ == "__main__":
    serve()
