"""A proxy in front of an S3 server that understands HTTP just well enough to break the Nth request on purpose.

    with FaultProxy(s3.port) as proxy:
        proxy.plan(3, "reset answer")          # the third request, once
        proxy.plan(3, "503", times=1000)       # the third and all after it
        ... proxy.endpoint ... proxy.requests  # [(method, target)] so far; proxy.headers of them
        proxy.meet = lambda request: ...       # called with each Request: gives a kind of fault, (status, code) or None
        proxy.change = lambda request, head: head    # called with each answer's head
"""
import contextlib
import socket
import struct
import threading

ERROR = ('<?xml version="1.0" encoding="UTF-8"?><Error><Code>{}</Code><Message>by the proxy</Message>'
         '<Resource>/</Resource><RequestId>1</RequestId></Error>')
# answers of the proxy's own: kind -> (status, S3's code)
ANSWERS = {"500": (500, "InternalError"), "503": (503, "SlowDown"), "403": (403, "AccessDenied"),
           "expired": (400, "ExpiredToken"), "skewed": (403, "RequestTimeTooSkewed"),
           "error in 200": (200, "InternalError")}
KINDS = ("refuse", "reset request", "reset answer", "lost answer", "stall", "truncate", "short length", "corrupt",
         "500", "503", "error in 200")


class Request:
    """method, target, headers {lower-case name: value}, body."""

    def __init__(self, head, headers, body=b""):
        self.method, self.target, _ = head.split(b"\r\n")[0].decode("latin-1").split(" ")
        self.headers, self.body = headers, body


class Broken(Exception):
    """The connection is over."""


def reset(connection):
    """Closes with RST instead of FIN."""
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


class Stream:
    """Messages from one side."""

    def __init__(self, connection):
        self.connection, self.data = connection, b""

    def more(self):
        try:
            got = self.connection.recv(1 << 18)
        except OSError as error:
            raise Broken from error
        if not got:
            raise Broken
        self.data += got

    def take(self, length):
        while len(self.data) < length:
            self.more()
        taken, self.data = self.data[:length], self.data[length:]
        return taken

    def line(self):
        while b"\r\n" not in self.data:
            self.more()
        return self.take(self.data.index(b"\r\n") + 2)

    def head(self):
        """The first line and the headers, as they came; {lower-case name: value}."""
        text = self.line()
        headers = {}
        while (line := self.line()) != b"\r\n":
            text += line
            name, _, value = line.decode("latin-1").partition(":")
            headers[name.strip().lower()] = value.strip()
        return text + b"\r\n", headers

    def body(self, headers):
        if headers.get("transfer-encoding", "").lower() == "chunked":
            body = b""
            while True:
                size = self.line()
                length = int(size.split(b";")[0], 16)
                body += size + self.take(length + 2)
                if length == 0:
                    return body
        return self.take(int(headers.get("content-length", 0)))


class FaultProxy:
    """See the top of the file. A context manager; its threads end with it."""

    def __init__(self, port):
        self.upstream = ("127.0.0.1", port)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.lock = threading.Lock()
        self.open = set()
        self.ending = threading.Event()
        self.forget()

    def __enter__(self):
        threading.Thread(target=self.accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.ending.set()
        self.listener.close()
        for connection in list(self.open):
            reset(connection)

    def forget(self):
        """No plan, and requests are counted from 1 again."""
        with self.lock:
            self.requests, self.headers, self.fault, self.bytes_down = [], [], None, 0
            self.meet = self.change = None

    def plan(self, at, kind, times=1):
        self.forget()
        self.fault = (at, kind, times)

    def accept(self):
        while not self.ending.is_set():
            try:
                connection = self.listener.accept()[0]
            except OSError:
                return
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        try:
            upstream = socket.create_connection(self.upstream)
        except OSError:     # the server is down: so are we
            reset(connection)
            return
        self.open |= {connection, upstream}
        try:
            client, server = Stream(connection), Stream(upstream)
            while True:
                self.pass_one(client, server)
        except (Broken, OSError):
            pass
        finally:
            self.open -= {connection, upstream}
            connection.close()
            upstream.close()

    def number(self, request):
        """Counts a request; the kind of fault that is planned for it, or None."""
        with self.lock:
            self.requests.append((request.method, request.target))
            self.headers.append(request.headers)
            count = len(self.requests)
            planned = self.fault and self.fault[0] <= count < self.fault[0] + self.fault[2]
            return self.fault[1] if planned else None

    def break_off(self, stream):
        reset(stream.connection)
        raise Broken

    def pass_one(self, client, server):
        head, headers = client.head()
        request = Request(head, headers)
        kind = self.number(request)
        if kind == "refuse":
            self.break_off(client)
        if kind == "reset request":
            client.take(min(1000, int(headers.get("content-length", 0))))
            self.break_off(client)
        request.body = body = client.body(headers)
        if self.meet:
            kind = self.meet(request) or kind
        if kind == "late refuse":     # only of meet: the request was read
            self.break_off(client)
        if kind == "stall":
            self.ending.wait(20)
            self.break_off(client)
        if isinstance(kind, tuple) or (kind in ANSWERS and (kind != "error in 200" or request.method in ("POST", "PUT"))):
            client.connection.sendall(self.own_answer(kind, request.method))
            return
        server.connection.sendall(head + body)
        self.pass_answer(client, server, request, kind)

    def own_answer(self, kind, method):
        status, code = kind if isinstance(kind, tuple) else ANSWERS[kind]
        body = b"" if method == "HEAD" else ERROR.format(code).encode()
        date = "Date: Mon, 01 Jan 2035 00:00:00 GMT\r\n" if kind == "skewed" else ""
        return f"HTTP/1.1 {status} By proxy\r\n{date}Content-Type: application/xml\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body

    def pass_answer(self, client, server, request, kind):
        head, headers = server.head()
        bodiless = request.method == "HEAD" or head.split(b" ")[1] in (b"204", b"304")
        body = b"" if bodiless else server.body(headers)
        if kind == "lost answer":
            self.break_off(client)
        if kind == "reset answer":
            client.connection.sendall((head + body)[:len(head) // 2 + len(body) // 2])
            self.break_off(client)
        if kind == "truncate" and body:
            client.connection.sendall(head + body[:len(body) // 2])
            raise Broken
        if kind == "short length" and len(body) > 1 and "content-length" in headers:
            body = body[:-1]
            head = head.replace(b": " + headers["content-length"].encode(), b": %d" % len(body))
        if kind == "corrupt" and body:
            body = body[:len(body) // 2] + bytes([body[len(body) // 2] ^ 1]) + body[len(body) // 2 + 1:]
        with self.lock:
            self.bytes_down += len(body)
        if self.change:
            head = self.change(request, head)
        client.connection.sendall(head + body)
