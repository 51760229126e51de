"""What the official SDK makes of AUREN as an A2A agent: it does one thing and prints what comes, one JSON object a line.

    client.py URL TOKEN card | send TEXT [MESSAGE] | wait TEXT | cut TEXT | get TASK | subscribe TASK | cancel TASK
"""

import asyncio
import json
import sys
import uuid

import httpx
from a2a.client import A2ACardResolver, A2AClientError, ClientConfig, ClientFactory
from a2a.types import CancelTaskRequest, GetTaskRequest, Message, Part, Role, SendMessageRequest, SubscribeToTaskRequest
from a2a.utils.errors import A2AError
from google.protobuf.json_format import MessageToDict


def show(message):
    print(json.dumps(MessageToDict(message)), flush=True)


async def do(url, token, what, *arguments):
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with httpx.AsyncClient(headers=headers, timeout=60) as http:
        card = await A2ACardResolver(http, url).get_agent_card()
        config = ClientConfig(httpx_client=http, streaming=what != "wait")
        client = ClientFactory(config).create(card)
        if what == "card":
            show(card)
        elif what in ("send", "wait", "cut"):
            identity = arguments[1] if len(arguments) > 1 else str(uuid.uuid4())
            message = Message(message_id=identity, role=Role.ROLE_USER, parts=[Part(text=arguments[0])])
            async for event in client.send_message(SendMessageRequest(message=message)):
                show(event)
                if what == "cut":
                    break
        elif what == "get":
            show(await client.get_task(GetTaskRequest(id=arguments[0])))
        elif what == "cancel":
            show(await client.cancel_task(CancelTaskRequest(id=arguments[0])))
        elif what == "subscribe":
            async for event in client.subscribe(SubscribeToTaskRequest(id=arguments[0])):
                show(event)


try:
    asyncio.run(do(*sys.argv[1:]))
except (A2AError, A2AClientError) as error:
    print(json.dumps({"error": type(error).__name__, "message": str(error)}), flush=True)
