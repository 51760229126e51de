"""An A2A agent that begins its answer to each question and ends it only when it is asked again; it prints whom it hears."""

import asyncio
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "agents/examples/python"))

from a2a.helpers import new_task_from_user_message, new_text_part  # noqa: E402
from a2a.server.agent_execution import AgentExecutor  # noqa: E402
from a2a.server.tasks import TaskUpdater  # noqa: E402
from a2a_agent import consult_of, serve  # noqa: E402


class Halting(AgentExecutor):
    asked = set()

    async def execute(self, context, event_queue):
        task = new_task_from_user_message(context.message)
        await event_queue.enqueue_event(task)
        answer = TaskUpdater(event_queue, task.id, task.context_id)
        await answer.add_artifact([new_text_part("Narwhals ")], "answer")
        question = context.message.message_id
        assert consult_of(context.message)["id"] == question
        again = question in self.asked
        self.asked.add(question)
        print(question, flush=True)
        if not again:
            await asyncio.Event().wait()
        await answer.add_artifact([new_text_part("dream.")], "answer", append=True)
        await answer.complete()

    async def cancel(self, context, event_queue):
        raise NotImplementedError


serve(Halting(), int(sys.argv[1]))
