"""An agent over Kafka that answers each question only when it is asked again; it prints whom it hears."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "agents/examples/python"))

from kafka_agent import serve  # noqa: E402

asked = set()


def advise(consult):
    again = consult["id"] in asked
    asked.add(consult["id"])
    print(consult["id"], flush=True)
    return {"message": "Ospreys rest."} if again else None


serve(advise)
