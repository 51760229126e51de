"""An agent that speaks A2A 1.0, made with the official SDK: it says good night, and AUREN seats it on a panel.

    pip install 'a2a-sdk[http-server]' uvicorn
    python3 a2a_agent.py 9999                   # in auren.toml: [agents.a2a.sleeper] url = "http://127.0.0.1:9999"
"""

import socket
import sys

import uvicorn
from a2a.helpers import new_data_part, new_task_from_user_message, new_text_part
from a2a.server.agent_execution import AgentExecutor
from a2a.server.request_handlers import DefaultRequestHandler
from a2a.server.routes import create_agent_card_routes, create_jsonrpc_routes
from a2a.server.tasks import InMemoryTaskStore, TaskUpdater
from a2a.types import AgentCapabilities, AgentCard, AgentInterface, AgentSkill
from google.protobuf.json_format import MessageToDict
from starlette.applications import Starlette

CONSULT = "application/vnd.auren.consult+json"
ADVICE = "application/vnd.auren.advice+json"


def consult_of(message):
    """What AUREN asks, as data. Another caller's message has only words."""
    return next((MessageToDict(part.data) for part in message.parts if part.media_type == CONSULT), None)


class Sleeper(AgentExecutor):
    async def execute(self, context, event_queue):
        task = new_task_from_user_message(context.message)
        await event_queue.enqueue_event(task)
        answer = TaskUpdater(event_queue, task.id, task.context_id)
        consult = consult_of(context.message) or {}
        nights = [seen for seen in consult.get("recent", []) if seen["event_type"] == "sleep_analysis"]
        before = [f"{said['agent']} spoke before." for said in consult.get("panel", [])]
        await answer.add_artifact([new_text_part("Sleep on it. ")], "answer")
        await answer.add_artifact([new_text_part(f"I know of {len(nights)} nights.")], "answer", append=True)
        more = {"reasons": before, "note": "said good night"}
        await answer.add_artifact([new_data_part(more, media_type=ADVICE)], "more")
        await answer.complete()

    async def cancel(self, context, event_queue):
        raise NotImplementedError


def serve(executor, port):
    listener = socket.create_server(("127.0.0.1", port))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    card = AgentCard(
        name="sleeper",
        description="Says good night.",
        version="1.0.0",
        supported_interfaces=[AgentInterface(url=f"{url}/a2a", protocol_binding="JSONRPC", protocol_version="1.0")],
        capabilities=AgentCapabilities(streaming=True),
        default_input_modes=["text/plain", CONSULT],
        default_output_modes=["text/plain", ADVICE],
        skills=[AgentSkill(id="good-night", name="Good night", description="Says good night.", tags=["sleep"])],
    )
    handler = DefaultRequestHandler(agent_executor=executor, task_store=InMemoryTaskStore(), agent_card=card)
    app = Starlette(routes=create_agent_card_routes(card) + create_jsonrpc_routes(handler, "/a2a"))
    print(url, flush=True)
    uvicorn.Server(uvicorn.Config(app, log_level="error")).run(sockets=[listener])


if __name__ == "__main__":
    serve(Sleeper(), int(sys.argv[1]))
