"""A mail server for the tests: aiosmtpd with the moods that real ones have.

    server.py [--port N] [--tls none|starttls|tls] [--user NAME --password WORD]

What a recipient's name begins with says what happens to mail for it: `refused` never gets in, `later` only at the third
try, `stuck` keeps the client waiting for ever. Every mail that was taken is a JSON line on stdout; the first line says the port.
The server ends when its stdin does.
"""

import argparse
import asyncio
import json
import os
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult

HERE = os.path.dirname(os.path.abspath(__file__))
CERTIFICATES = os.path.join(HERE, "..", "..", "data", "mail")


def say(what):
    print(json.dumps(what), flush=True)


class Moods:
    def __init__(self):
        self.tries = {}

    async def handle_RCPT(self, server, session, envelope, address, options):
        name = address.split("@")[0]
        if name.startswith("stuck"):
            await asyncio.sleep(3600)
        if name.startswith("refused"):
            return "550 5.1.1 nobody of that name here"
        if name.startswith("later"):
            self.tries[name] = self.tries.get(name, 0) + 1
            if self.tries[name] < 3:
                return "451 4.7.1 come back later"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        say({
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "tls": session.ssl is not None or server.transport.get_extra_info("ssl_object") is not None,
            "user": session.auth_data.decode() if session.auth_data else None,
            "mail": envelope.content.decode(),
        })
        return "250 OK"


async def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--tls", default="none")
    parser.add_argument("--user")
    parser.add_argument("--password")
    args = parser.parse_args()

    context = None
    if args.tls != "none":
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(os.path.join(CERTIFICATES, "cert.pem"), os.path.join(CERTIFICATES, "key.pem"))

    def authenticate(server, session, envelope, mechanism, data):
        right = data.login.decode() == args.user and data.password.decode() == args.password
        return AuthResult(success=right, auth_data=data.login)

    def factory():
        return SMTP(
            moods,
            tls_context=context if args.tls == "starttls" else None,
            require_starttls=args.tls == "starttls",
            authenticator=authenticate,
            auth_required=args.user is not None,
            auth_require_tls=args.tls == "starttls",
        )

    moods = Moods()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        factory, "127.0.0.1", args.port, ssl=context if args.tls == "tls" else None
    )
    say({"port": server.sockets[0].getsockname()[1]})
    await loop.run_in_executor(None, sys.stdin.read)
    os._exit(0)


asyncio.run(main())
