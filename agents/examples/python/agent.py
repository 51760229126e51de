"""An agent of AUREN in Python: it says good night. It needs nothing but Python 3.

    python3 agent.py 8421                       # in auren.toml: [agents.http.sleeper] url = "http://127.0.0.1:8421"
"""

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def advise(consult):
    nights = [seen for seen in consult["recent"] if seen["event_type"] == "sleep_analysis"]
    cause = consult["cause"]
    about = cause["trigger_type"].replace("_", " ") if cause["kind"] == "trigger" else "what you wrote"
    before = [said["agent"] for said in consult["panel"]]
    message = f"About {about}: sleep on it. I know of {len(nights)} nights."
    return {"message": message, "reasons": [f"{agent} spoke before." for agent in before], "note": "said good night"}


class Agent(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        consult = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        answer = json.dumps(advise(consult)).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        """Says nothing: whom it advises is nobody else's business."""


server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Agent)
print(f"http://127.0.0.1:{server.server_port}", flush=True)
server.serve_forever()
