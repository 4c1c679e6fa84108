"""An HTTP server that takes what is posted, and refuses, stalls or breaks as told: Slack, PagerDuty and others cannot be had.

    with HookServer() as hooks:
        hooks.url("/slack")                                # http://127.0.0.1:PORT/slack
        hooks.plan("/slack", 429, times=2, headers={"Retry-After": "1"})
        hooks.plan("/slack", "stall")                      # or "close": no answer
        hooks.posts("/slack")                              # [Post] that were answered with a 2xx
        hooks.all("/slack")                                # every one that came
"""
import contextlib
import http.server
import json
import threading
import time

STALL_S = 30


class Post:
    """One request: path, headers, body, when (monotonic), status (None: not answered)."""

    def __init__(self, path, headers, body):
        self.path, self.headers, self.body = path, headers, body
        self.when, self.status = time.monotonic(), None

    @property
    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"{self.path} {self.status}: {self.body[:2000]!r}"


class HookServer:
    """See the top of the file. context: an ssl.SSLContext makes it https."""

    def __init__(self, context=None):
        self.lock, self.seen, self.plans = threading.Lock(), [], {}
        self.ending = threading.Event()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            """One connection."""
            protocol_version = "HTTP/1.1"

            def do_POST(self):  # pylint: disable=invalid-name
                outer.serve(self)

            do_GET = do_PUT = do_POST

            def log_message(self, *_):  # pylint: disable=arguments-differ
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.scheme = "http"
        if context:
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
            self.scheme = "https"
        self.port = self.server.server_address[1]

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_):
        self.ending.set()
        self.server.shutdown()
        self.server.server_close()

    def url(self, path):
        return f"{self.scheme}://127.0.0.1:{self.port}{path}"

    def plan(self, path, answer, times=1000000, headers=None, body=""):
        """The next `times` requests to a path: a status, "stall" or "close"."""
        with self.lock:
            self.plans[path] = [answer, times, headers or {}, body]

    def next_answer(self, path):
        with self.lock:
            plan = self.plans.get(path)
            if not plan or plan[1] <= 0:
                return 200, {}, "ok"
            plan[1] -= 1
            return plan[0], plan[2], plan[3]

    def serve(self, handler):
        length = int(handler.headers.get("Content-Length", 0))
        post = Post(handler.path, dict(handler.headers), handler.rfile.read(length))
        with self.lock:
            self.seen.append(post)
        answer, headers, body = self.next_answer(handler.path.split("?")[0])
        if answer in ("stall", "close"):
            if answer == "stall":
                self.ending.wait(STALL_S)
            handler.close_connection = True
            return
        with contextlib.suppress(OSError):
            handler.send_response(answer)
            for name, value in headers.items():
                handler.send_header(name, value)
            data = body.encode()
            handler.send_header("Content-Length", str(len(data)))
            handler.end_headers()
            handler.wfile.write(data)
        post.status = answer

    def all(self, path=None):
        with self.lock:
            return [post for post in self.seen if path is None or post.path.split("?")[0] == path]

    def posts(self, path=None):
        return [post for post in self.all(path) if post.status and post.status < 300]

    def forget(self):
        with self.lock:
            self.seen, self.plans = [], {}
