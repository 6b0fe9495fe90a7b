"""A backend that believes X-Authenticated-Assertion and nothing else.

pip install -r requirements.txt
JWKS_URL=… ISSUER=… AUDIENCE=… PUBLIC_HOST=… PORT=… python server.py
"""

import json
import os
import threading
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import jwt

ISSUER = os.environ["ISSUER"]
AUDIENCE = os.environ["AUDIENCE"]
PUBLIC_HOST = os.environ["PUBLIC_HOST"]


class KeysUnavailable(Exception):
    """The keys could not be had: that is no fault of the caller."""


class Keys:
    """Kept for ten minutes; an unknown `kid` asks again, but not more often than every 30 seconds."""

    def __init__(self, url):
        self.url = url
        self.keys = {}
        self.asked = float("-inf")
        self.lock = threading.Lock()

    def find(self, kid):
        with self.lock:
            age = time.monotonic() - self.asked
            if age > 600 or (kid not in self.keys and age > 30):
                self.fetch(kid)
            if kid not in self.keys:
                raise jwt.InvalidKeyError("unknown key")
            return self.keys[kid]

    def fetch(self, kid):
        try:
            with urllib.request.urlopen(self.url, timeout=5) as answer:
                found = jwt.PyJWKSet.from_dict(json.load(answer))
        except Exception as error:
            if kid not in self.keys:
                raise KeysUnavailable from error
            return
        self.keys = {key.key_id: key for key in found.keys}
        self.asked = time.monotonic()


KEYS = Keys(os.environ["JWKS_URL"])


def verify(assertion, method, target):
    """Returns the claims, or raises where the assertion is not one for exactly this request."""
    header = jwt.get_unverified_header(assertion)
    if header.get("typ") != "postern-identity+jwt":
        raise jwt.InvalidTokenError("another kind of token")
    claims = jwt.decode(
        assertion,
        KEYS.find(header.get("kid")),
        algorithms=["ES256", "EdDSA"],
        issuer=ISSUER,
        audience=AUDIENCE,
        leeway=5,
        options={"require": ["iat", "exp", "sub", "htm", "hth", "htp"]},
    )
    if (claims["htm"], claims["hth"], claims["htp"]) != (method, PUBLIC_HOST, target.split("?", 1)[0]):
        raise jwt.InvalidTokenError("made for another request")
    # `amr: anonymous` comes with an empty subject: no user has signed in.
    if claims["sub"] == "":
        raise jwt.InvalidTokenError("no user has signed in")
    return claims


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        # One and only one: a second could be read by another program in place of the first.
        given = self.headers.get_all("X-Authenticated-Assertion", [])
        if len(given) != 1:
            return self.answer(401, "one assertion is needed")
        try:
            claims = verify(given[0], self.command, self.path)
        except KeysUnavailable:
            return self.answer(503, "try again shortly")
        except jwt.PyJWTError:
            return self.answer(401, "the assertion is not valid")
        return self.answer(200, f"hello {claims['sub']} of {json.dumps(claims['groups'])}")

    do_POST = do_PUT = do_PATCH = do_DELETE = do_GET

    def answer(self, status, text):
        body = f"{text}\n".encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
