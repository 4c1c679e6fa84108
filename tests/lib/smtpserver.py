"""A real SMTP server (aiosmtpd) with STARTTLS and AUTH, and the certificates for it.

    with SmtpServer(folder, starttls=True, user="u", password="p") as smtp:
        smtp.url                                 # smtp://u:p@localhost:PORT
        smtp.mails                               # [Mail]: envelope, the bytes as they came, TLS or not, who logged in
        smtp.refuse = {"RCPT": "550 no such user"}
    smtp.refuse = {"RCPT gone@example.com": "450 later"}   # one receiver alone; as "421 ...": and the connection with it
    smtp.refuse = {"DATA gone@example.com": "550 no"}      # every mail that is for this one too
"""
import email
import email.policy
import os
import ssl
import subprocess
import urllib.parse

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult


def make_certificates(folder):
    """ca.pem, and server.pem with server.key that it signed, for localhost and 127.0.0.1."""
    def openssl(*arguments):
        command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days",
                   "30", *arguments]
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
    openssl("-subj", "/CN=Test CA", "-keyout", "ca.key", "-out", "ca.pem")
    openssl("-subj", "/CN=localhost", "-keyout", "server.key", "-out", "server.pem", "-CA", "ca.pem", "-CAkey", "ca.key",
            "-addext", "basicConstraints=critical,CA:FALSE", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1")
    return os.path.join(folder, "ca.pem")


def server_context(folder):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(os.path.join(folder, "server.pem"), os.path.join(folder, "server.key"))
    return context


class Mail:
    """One mail as it was delivered."""

    def __init__(self, server, session, envelope):
        self.sender, self.receivers, self.raw = envelope.mail_from, envelope.rcpt_tos, envelope.original_content
        self.tls = server.transport.get_extra_info("ssl_object") is not None
        self.login = session.auth_data
        self.message = email.message_from_bytes(self.raw, policy=email.policy.default)

    @property
    def text(self):
        return self.message.get_content()


class SmtpServer(Controller):
    """See the top of the file. starttls: it offers and demands it; smtps: TLS from the start."""

    def __init__(self, folder=None, starttls=False, smtps=False, user=None, password=None):
        self.user, self.password, self.smtps = user, password, smtps
        self.mails, self.logins, self.refuse = [], [], {}
        self.server_options = {"decode_data": False, "timeout": 20}
        if starttls:
            self.server_options.update(tls_context=server_context(folder), require_starttls=True)
        if user:
            self.server_options.update(authenticator=self.authenticate, auth_required=True,
                                       auth_require_tls=starttls)
        super().__init__(self, hostname="127.0.0.1", port=0, ssl_context=server_context(folder) if smtps else None)

    def factory(self):
        return SMTP(self, **self.server_options)

    def _trigger_server(self):
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()

    @property
    def url(self):
        login = ""
        if self.user:
            login = ":".join(urllib.parse.quote(part, safe="") for part in (self.user, self.password)) + "@"
        return f"{'smtps' if self.smtps else 'smtp'}://{login}localhost:{self.port}"

    def authenticate(self, _server, _session, _envelope, _mechanism, data):
        login = (data.login.decode(), data.password.decode())
        self.logins.append(login)
        good = login == (self.user, self.password)
        return AuthResult(success=good, auth_data=login[0] if good else None, handled=good or None)

    async def handle_RCPT(self, server, _session, envelope, address, _options):  # pylint: disable=invalid-name
        answer = self.refuse.get("RCPT", self.refuse.get(f"RCPT {address}"))
        if answer:
            if answer.startswith("421"):
                server.transport.close()
            return answer
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):  # pylint: disable=invalid-name
        for what in ["DATA", *(f"DATA {address}" for address in envelope.rcpt_tos)]:
            if what in self.refuse:
                return self.refuse[what]
        self.mails.append(Mail(server, session, envelope))
        return "250 taken"
