"""Two agents per user on AutoGen core's single-threaded runtime; its tracing and logging are off, as its documentation offers."""

import asyncio
from dataclasses import dataclass

from autogen_core import (
    AgentId,
    DefaultTopicId,
    MessageContext,
    RoutedAgent,
    SingleThreadedAgentRuntime,
    TypeSubscription,
    message_handler,
)
from opentelemetry.trace import NoOpTracerProvider

from river import event

EXPERTS = ("neuroscientist", "coach")


@dataclass
class Trigger:
    trigger_id: str
    user_id: str
    trigger_type: str
    severity: float
    timestamp: str


@dataclass
class Said:
    event: dict


class Expert(RoutedAgent):
    """One user's expert: it says one sentence, and counts the turns."""

    def __init__(self, name, hear):
        super().__init__(name)
        self.name, self.hear, self.turn = name, hear, 0

    @message_handler
    async def on_trigger(self, message: Trigger, context: MessageContext) -> Said:
        self.turn += 1
        seat = EXPERTS.index(self.name) + 1
        said = Said(event(vars(message), self.name, self.turn, seat, len(EXPERTS)))
        self.hear(said.event)
        return said


def trigger(fields):
    return Trigger(*(fields[name] for name in ("trigger_id", "user_id", "trigger_type", "severity", "timestamp")))


class Runtime:
    def __init__(self):
        self.runtime = SingleThreadedAgentRuntime(tracer_provider=NoOpTracerProvider())

    async def begin(self):
        for name in EXPERTS:
            await Expert.register(self.runtime, name, lambda name=name: Expert(name, self.hear))
            await self.runtime.add_subscription(TypeSubscription("triggers", name))
        self.runtime.start()


class Publish(Runtime):
    """A trigger is published to the user's topic; both agents are subscribed."""

    async def work(self, triggers):
        self.said, self.all = [], asyncio.get_running_loop().create_future()
        self.awaited = sum(len(fields["recommended_agents"]) for fields in triggers)
        for fields in triggers:
            await self.runtime.publish_message(trigger(fields), DefaultTopicId("triggers", fields["user_id"]))
        await self.all
        return self.said

    def hear(self, event):
        self.said.append(event)
        if len(self.said) == self.awaited:
            self.all.set_result(None)


class Send(Runtime):
    """Each agent is asked, and its answer awaited; all of a batch at the same time."""

    async def work(self, triggers):
        asked = (
            self.runtime.send_message(trigger(fields), AgentId(name, fields["user_id"]))
            for fields in triggers
            for name in fields["recommended_agents"]
        )
        return [answer.event for answer in await asyncio.gather(*asked)]

    def hear(self, event):
        pass
