"""A small OpenID Connect provider on loopback: real keys, real tokens, codes that are good for one use and bound to a
challenge. `tell` and `sign` are where a test makes it hostile."""

import base64
import hashlib
import json
import secrets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
from aiohttp import BasicAuth, web
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

CLIENT, SECRET = "fun-ai-studio", "client-secret-0123456789"
Claims = dict[str, Any]


class Key:
    """A pair of keys; RSA with 2048 bits, or P-256."""

    def __init__(self, name: str, algorithm: str = "RS256") -> None:
        self.name = name
        self.algorithm = algorithm
        self.private: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey = (
            ec.generate_private_key(ec.SECP256R1())
            if algorithm == "ES256"
            else rsa.generate_private_key(public_exponent=65537, key_size=2048)
        )

    def public(self) -> dict[str, Any]:
        """As in a key set."""
        known = jwt.get_algorithm_by_name(self.algorithm).to_jwk(self.private.public_key())
        return {**json.loads(known), "kid": self.name, "use": "sig", "alg": self.algorithm}

    def pem(self) -> bytes:
        """The public key as a text that somebody could take for a secret."""
        return self.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    def sign(self, claims: Claims, **head: Any) -> str:
        """A token."""
        return jwt.encode(claims, self.private, algorithm=self.algorithm, headers={"kid": self.name, **head})


@dataclass
class Grant:
    """A code, for whom, and what it was asked with."""

    subject: str
    asked: dict[str, str]


@dataclass
class LoginProvider:
    """A running provider."""

    url: str
    redirect_url: str
    key: Key = field(default_factory=lambda: Key("one"))
    keys: list[Key] = field(default_factory=list)
    more: Claims = field(default_factory=dict)
    tell: Callable[[Claims], Claims] = lambda claims: claims
    sign: Callable[[Claims], str] | None = None
    discovery: dict[str, Any] = field(default_factory=dict)
    looks: int = 0
    grants: dict[str, Grant] = field(default_factory=dict)
    away: bool = False

    def agree(self, place: str, subject: str) -> str:
        """The person at the provider's page says yes; the address that the browser is sent back to."""
        known = urlsplit(place)
        asked = {name: values[0] for name, values in parse_qs(known.query, strict_parsing=True).items()}
        assert f"{known.scheme}://{known.netloc}{known.path}" == f"{self.url}/authorize"
        assert (asked["response_type"], asked["client_id"]) == ("code", CLIENT)
        assert (asked["redirect_uri"], asked["code_challenge_method"]) == (self.redirect_url, "S256")
        assert "openid" in asked["scope"].split()
        code = secrets.token_urlsafe(16)
        self.grants[code] = Grant(subject, asked)
        return f"state={asked['state']}&code={code}"

    async def documents(self, _request: web.Request) -> web.Response:
        if self.away:
            return web.Response(status=503)
        told = {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "jwks_uri": f"{self.url}/keys",
        }
        return web.json_response({**told, **self.discovery})

    async def key_set(self, _request: web.Request) -> web.Response:
        self.looks += 1
        return web.json_response({"keys": [key.public() for key in self.keys or [self.key]]})

    async def token(self, request: web.Request) -> web.Response:
        form = {name: str(value) for name, value in (await request.post()).items()}
        auth = BasicAuth.decode(request.headers["Authorization"])
        if (auth.login, auth.password) != (CLIENT, SECRET):
            return web.json_response({"error": "invalid_client", "error_description": form["code"]}, status=401)
        grant = self.grants.pop(form["code"], None)
        digest = hashlib.sha256(form["code_verifier"].encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        if (
            grant is None
            or challenge != grant.asked["code_challenge"]
            or (form["grant_type"], form["redirect_uri"]) != ("authorization_code", self.redirect_url)
        ):
            return web.json_response({"error": "invalid_grant"}, status=400)
        now = int(time.time())
        claims: Claims = {
            "iss": self.url,
            "sub": grant.subject,
            "aud": CLIENT,
            "iat": now,
            "exp": now + 300,
            "nonce": grant.asked["nonce"],
            **self.more,
        }
        said = self.tell(claims)
        token = self.sign(said) if self.sign else self.key.sign(said)
        return web.json_response({"access_token": "unused", "token_type": "Bearer", "id_token": token})


@asynccontextmanager
async def login_provider(redirect_url: str) -> AsyncIterator[LoginProvider]:
    """One that sends browsers back to that address."""
    app = web.Application()
    runner = web.AppRunner(app)
    provider = LoginProvider("", redirect_url)
    app.router.add_get("/.well-known/openid-configuration", provider.documents)
    app.router.add_get("/keys", provider.key_set)
    app.router.add_post("/token", provider.token)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    provider.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield provider
    finally:
        await runner.cleanup()
