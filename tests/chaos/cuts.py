"""A frontend whose connection is cut at random, again and again, on several nodes by turns.

    cuts.py OPTIONS          a JSON object: addresses, token, agent, cuts, seed

It says things, stops some answers, and shows what it hears as a chat page does. After the last cut it prints `cut`, reads a
cursor from standard input, hears everything up to there, and prints all it has heard as JSON. It fails where something is
missing, comes twice, or is provisional for good.
"""

import asyncio
import json
import random
import sys
from collections import Counter

from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

# How long anything may take on a machine that has much else to do.
PATIENCE = 120


class Frontend:
    def __init__(self, options):
        self.options, self.random = options, random.Random(options["seed"])
        self.cursor, self.events, self.unsent, self.acked = "earliest", [], {}, []
        self.provisional, self.settled, self.counts = {}, set(), Counter()
        self.turn = 0

    def begins(self):
        """A new connection: nothing provisional of the last one holds."""
        self.provisional.clear()
        self.settled.clear()

    def hears(self, frame):
        kind, whose = frame["type"], (frame.get("turn"), frame.get("agent"))
        self.counts[kind] += 1
        if kind == "hello":
            assert self.cursor in ("earliest", frame["cursor"]), f"it resumes at {frame}, not behind {self.cursor}"
        elif kind == "event":
            self.hears_event(frame)
        elif kind == "delta":
            assert whose not in self.settled, f"said after its event: {frame}"
            attempt, seq, text = self.provisional.get(whose, (frame["attempt"], 0, ""))
            assert (attempt, seq) == (frame["attempt"], frame["seq"]), f"a part is missing before {frame}"
            self.provisional[whose] = (attempt, seq + 1, text + frame["text"])
        elif kind == "reset":
            attempt, _, _ = self.provisional.pop(whose)
            assert attempt == frame["attempt"], frame
        elif kind == "ack":
            if self.unsent.pop(frame["client_id"], None):
                self.acked.append(frame["client_id"])
        elif kind in ("gap", "error"):
            raise AssertionError(frame)

    def hears_event(self, frame):
        assert self.cursor in ("earliest", frame["prev"]), f"one is missing between {self.cursor} and {frame}"
        event, self.cursor = frame["event"], frame["cursor"]
        self.turn = max(self.turn, event["metadata"]["turn"])
        whose = (event["metadata"]["turn"], event["specialist_id"])
        if whose in self.provisional:
            _, _, text = self.provisional.pop(whose)
            answers = event["message_type"] == "specialist_response"
            assert answers and event["content"].startswith(text), f"{text!r} is not how {event} begins"
        self.settled.add(whose)
        self.events.append([frame["cursor"], event["event_id"], event["content"]])

    async def connected(self, address):
        headers = {"Authorization": f"Bearer {self.options['token']}"}
        url = f"ws://{address}/v1/ws?after={self.cursor}"
        return await connect(url, subprotocols=["auren.v1"], additional_headers=headers, open_timeout=PATIENCE)

    async def until_cut(self, address):
        """One connection, cut at some moment, be it in the middle of a frame or of the handshake."""
        socket = None
        try:
            async with asyncio.timeout(self.random.choice([0.02, 0.1, 0.1, 0.3, 0.6]) * self.random.random()):
                socket = await self.connected(address)
                self.begins()
                if self.random.random() < 0.4:
                    number = len(self.acked) + len(self.unsent)
                    self.unsent[f"c-{number}"] = f"question {number}"
                for client_id, text in self.unsent.items():
                    said = {"type": "send", "client_id": client_id, "text": text, "to": self.options["agent"]}
                    await socket.send(json.dumps(said))
                if self.random.random() < 0.1:
                    await socket.send(json.dumps({"type": "stop", "turn": self.turn + self.random.randint(0, 1)}))
                async for text in socket:
                    self.hears(json.loads(text))
        except (TimeoutError, OSError, WebSocketException):
            pass
        finally:
            if socket:
                socket.transport.abort()
                await socket.wait_closed()

    async def to_the_end(self, address, last):
        async with asyncio.timeout(PATIENCE), await self.connected(address) as socket:
            self.begins()
            for client_id, text in self.unsent.items():
                await socket.send(json.dumps({"type": "send", "client_id": client_id, "text": text, "to": self.options["agent"]}))
            place = lambda cursor: int(cursor.split(":")[-1])
            while self.unsent or self.provisional or self.cursor == "earliest" or place(self.cursor) < place(last()):
                self.hears(json.loads(await socket.recv()))

    async def run(self):
        addresses, cuts = self.options["addresses"], self.options["cuts"]
        for cut in range(cuts):
            await self.until_cut(addresses[cut % len(addresses)])
        # What was never acknowledged is sent for the last time.
        await self.to_the_end(addresses[0], lambda: "0:-1")
        print("cut", flush=True)
        last = (await asyncio.to_thread(sys.stdin.readline)).strip()
        await self.to_the_end(addresses[-1], lambda: last)
        print(json.dumps({"events": self.events, "acked": self.acked, "counts": self.counts}))


asyncio.run(Frontend(json.loads(sys.argv[1])).run())
