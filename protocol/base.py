"""Base of every wire model.

Values are frozen, keys are camelCase on the wire and snake_case in code. Unknown keys are ignored on both sides, so
that older and newer peers interoperate; types are strict, so that a wrong one is refused instead of guessed.
"""

from typing import Any, Final, Generic, TypeVar

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

Data = TypeVar("Data")
#: Of what is checked by a type alone: what checks it is built when it is first used, as with every wire model.
LATE: Final = ConfigDict(defer_build=True)


class Wire(BaseModel):
    """A value that crosses a process boundary."""

    model_config = ConfigDict(
        frozen=True,
        strict=True,
        extra="ignore",
        alias_generator=to_camel,
        populate_by_name=True,
        allow_inf_nan=False,
        hide_input_in_errors=True,
        defer_build=True,
    )

    def to_json(self) -> bytes:
        """The value as UTF-8 JSON with camelCase keys; nulls are written out, as existing clients expect."""
        return self.model_dump_json(by_alias=True).encode()

    def to_data(self) -> dict[str, Any]:
        """The value as JSON-compatible builtins, for embedding in a larger document."""
        return self.model_dump(mode="json", by_alias=True)


class Envelope(Wire, Generic[Data]):
    """`{code, message, data}` around every JSON answer of deploy and API; `code` equals the HTTP status.

    `reason` is a stable machine-readable slug, present on failures only.
    """

    code: int
    message: str
    data: Data | None = None
    reason: str | None = None
