"""Access tokens as JWT (RFC 9068 as far as it fits): HS256 alone, the key named by a digest of itself."""

import hashlib
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

import jwt

from daemons.api.domain.accounts import NotLoggedIn, Session
from daemons.api.ports.accounts import Claims, LoginOff
from daemons.kit.clock import Clock
from protocol.accounts import Role

_ALGORITHM: Final = "HS256"
_TYPE: Final = "at+jwt"
_CLAIMS: Final = ["iss", "aud", "sub", "iat", "nbf", "exp", "sid", "role"]
_MOST_CHARACTERS: Final = 2048
#: Clocks of several machines.
_LEEWAY_SECONDS: Final = 5
_AUDIENCE: Final = "fun-ai-studio-api"


class JwtTokens:
    """The port `AccessTokens`. The first secret signs, all verify, so that they can be replaced one by one."""

    def __init__(self, secrets: Sequence[str], issuer: str, clock: Clock) -> None:
        self._keys = {hashlib.sha256(secret.encode()).hexdigest()[:8]: secret for secret in secrets}
        self._issuer = issuer
        self._clock = clock

    def require(self) -> None:
        """Raises LoginOff."""
        if not self._keys:
            raise LoginOff("nobody can log in here; operators set API_JWT_SECRET")

    def issue(self, session: Session, seconds: int) -> str:
        """A token that is valid for so long. Raises LoginOff."""
        self.require()
        key_id, secret = next(iter(self._keys.items()))
        now = self._clock.now()
        claims: dict[str, Any] = {
            "iss": self._issuer,
            "aud": _AUDIENCE,
            "sub": str(session.account.user_id),
            "iat": now,
            "nbf": now,
            "exp": now + timedelta(seconds=seconds),
            "sid": session.id,
            "role": session.account.role.value,
        }
        return jwt.encode(claims, secret, algorithm=_ALGORITHM, headers={"kid": key_id, "typ": _TYPE})

    def read(self, token: str) -> Claims:
        """Raises NotLoggedIn."""
        if not token.isascii() or len(token) > _MOST_CHARACTERS:
            raise NotLoggedIn("the access token is not valid")
        try:
            head = jwt.get_unverified_header(token)
            key = self._keys.get(str(head.get("kid")))
            if key is None or head.get("typ") != _TYPE:
                raise NotLoggedIn("the access token is not valid")
            claims = jwt.decode(
                token,
                key,
                algorithms=[_ALGORITHM],
                audience=_AUDIENCE,
                issuer=self._issuer,
                leeway=_LEEWAY_SECONDS,
                options={"require": _CLAIMS},
            )
            return Claims(int(claims["sub"]), str(claims["sid"]), Role(claims["role"]))
        except jwt.ExpiredSignatureError:
            raise NotLoggedIn("the access token has expired; refresh it") from None
        except (jwt.PyJWTError, ValueError, RecursionError):
            raise NotLoggedIn("the access token is not valid") from None
