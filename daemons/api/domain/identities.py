"""Logins by another provider (OpenID Connect): who somebody is there, and what of its word counts here.

Only issuer and subject say who somebody is. A name or an e-mail address is the provider's or its user's to change, and
never leads to an account that is there already.
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlencode

from daemons.api.domain.accounts import NotLoggedIn
from protocol.accounts import Role

#: Signed with a key that only the provider has. Whoever verifies HS256 could sign as well, and `none` is no signature.
ALGORITHMS: Final = frozenset(
    {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}
)
_LONGEST: Final = 255


class NotInvited(Exception):
    """The provider knows them, and they have no account here."""


@dataclass(frozen=True, slots=True)
class Provider:
    """Whose logins count, and for whom it says so (`client_id`). Answers come to `redirect_url` and nowhere else.
    Without `role_claim` roles are given here; with it the provider gives them at each login, by the values named."""

    issuer: str
    client_id: str
    redirect_url: str
    scopes: tuple[str, ...] = ("openid",)
    algorithms: frozenset[str] = frozenset({"RS256", "ES256"})
    creates: bool = False
    role_claim: str | None = None
    operators: frozenset[str] = frozenset()
    admins: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Identity:
    """Somebody at a provider."""

    issuer: str
    subject: str

    @property
    def digest(self) -> str:
        """One text for the pair; no two pairs have the same."""
        return hashlib.sha256(json.dumps([self.issuer, self.subject]).encode()).hexdigest()

    @property
    def name(self) -> str:
        """What its account is called here: nobody chooses it."""
        return f"oidc-{self.digest[:24]}"


@dataclass(frozen=True, slots=True)
class Attempt:
    """A login that the provider was asked for; all of it is chance."""

    state: str = field(repr=False)
    browser: str = field(repr=False)
    nonce: str = field(repr=False)
    verifier: str = field(repr=False)


def question(provider: Provider, endpoint: str, attempt: Attempt) -> str:
    """Where the browser is sent, with the proof of whose question it is (RFC 7636, S256)."""
    digest = hashlib.sha256(attempt.verifier.encode()).digest()
    asked = {
        "response_type": "code",
        "client_id": provider.client_id,
        "redirect_uri": provider.redirect_url,
        "scope": " ".join(provider.scopes),
        "state": attempt.state,
        "nonce": attempt.nonce,
        "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
        "code_challenge_method": "S256",
    }
    return f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(asked)}"


def identity_of(provider: Provider, claims: Mapping[str, Any], nonce: str) -> Identity:
    """Who it is that the provider vouches for in a token whose signature, issuer, audience and times were checked.
    Raises NotLoggedIn."""
    said, audience, subject = claims.get("nonce"), claims.get("aud"), claims.get("sub")
    if not isinstance(said, str) or not hmac.compare_digest(said.encode(), nonce.encode()):
        raise NotLoggedIn("the provider's token is not the answer to this login; begin again")
    shared = "azp" in claims or (isinstance(audience, list) and len(audience) > 1)
    # A token for several is ours only if it was made for us.
    if shared and claims.get("azp") != provider.client_id:
        raise NotLoggedIn("the provider's token was made for somebody else; begin again")
    if not isinstance(subject, str) or not 0 < len(subject) <= _LONGEST or not subject.isprintable():
        raise NotLoggedIn("the provider's token does not say who it is about")
    return Identity(provider.issuer, subject)


def role_of_claims(provider: Provider, claims: Mapping[str, Any]) -> Role | None:
    """The role that the provider gives, None when roles are given here."""
    if provider.role_claim is None:
        return None
    said = claims.get(provider.role_claim)
    listed = said if isinstance(said, list) else [said]
    values = {each for each in listed if isinstance(each, str)}
    if values & provider.admins:
        return Role.ADMIN
    return Role.OPERATOR if values & provider.operators else Role.USER
