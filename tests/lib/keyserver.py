"""Hands out AWS keys as the agents of ECS and EKS do: the program asks it again before they expire."""
import datetime
import http.server
import json
import threading

TOKEN = "Agent-Token-4711"


class KeyServer:
    """with KeyServer() as agent: agent.keys = {AWS_...}; agent.lifetime_s = 4; ... agent.asked counts.

    environment: what makes opstower ask it, and nobody else.
    """

    def __init__(self):
        self.keys, self.lifetime_s, self.asked = {}, 3600, 0
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self.handler())
        self.environment = {"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None, "AWS_SESSION_TOKEN": None,
                            "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"http://127.0.0.1:{self.server.server_port}/keys",
                            "AWS_CONTAINER_AUTHORIZATION_TOKEN": TOKEN}

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    def answer(self):
        self.asked += 1
        until = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=self.lifetime_s)
        return {"AccessKeyId": self.keys["AWS_ACCESS_KEY_ID"], "SecretAccessKey": self.keys["AWS_SECRET_ACCESS_KEY"],
                "Token": self.keys.get("AWS_SESSION_TOKEN"), "Expiration": until.strftime("%Y-%m-%dT%H:%M:%SZ")}

    def handler(agent):  # pylint: disable=no-self-argument
        """The class of what answers one request."""
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):  # pylint: disable=invalid-name
                known = self.path == "/keys" and self.headers["Authorization"] == TOKEN
                body = json.dumps(agent.answer() if known else {}).encode()
                self.send_response(200 if known else 401)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):  # pylint: disable=arguments-differ
                pass
        return Handler
