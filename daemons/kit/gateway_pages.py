"""The gateway's own answers: one line of text each, as a page for people and as a document for programs.

Their keys are `{page}.json`, and `{page}.` for the usual form; a value ends with its line.
"""

import json
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Page:
    """One answer; with `again` its page loads itself anew, `retry_seconds` says programs when to come again."""

    name: str
    status: int
    title: str
    text: str
    again: bool = False
    retry_seconds: int | None = None

    @property
    def html(self) -> str:
        """For people."""
        refresh = "<meta http-equiv='refresh' content='5'>" if self.again else ""
        return (
            f"<!doctype html><html lang='en'><meta charset='utf-8'>{refresh}<title>{self.title}</title>"
            "<body style='font-family:sans-serif;max-width:36em;margin:4em auto'>"
            f"<h1>{self.title}</h1><p>{self.text}</p>"
            "</body></html>"
        )

    @property
    def json(self) -> str:
        """For programs."""
        message = f"{self.title}: {self.text}"
        return json.dumps({"code": self.status, "message": message, "reason": f"app_{self.name}", "data": None})


_PAGES: Final = (
    Page("absent", 404, "No such app", "No app runs at this address. It may not have been published yet."),
    Page("starting", 503, "The app is starting", "It was just published. This page tries again.", again=True),
    Page(
        "crashed", 503, "The app has crashed", "It ended by itself and is started again. Its log says why.",
        again=True,
    ),
    Page("silent", 503, "The app is not answering", "The app is there, but nothing answers. Try again in a moment."),
    Page("busy", 503, "The app is busy", "Too many visitors at once. Try again in a moment."),
    Page("broken", 502, "The app broke off", "The app ended the connection without a valid answer."),
    Page("unserved", 404, "No preview", "Nothing is served from this workspace. Start the preview in the editor."),
    Page(
        "asleep", 503, "The preview is starting", "Its server does not listen yet. This page retries.",
        again=True, retry_seconds=2,
    ),
    Page(
        "interrupted", 502, "The preview was interrupted",
        "Its server ended the connection without an answer, as when it starts anew. This page retries.",
        again=True, retry_seconds=2,
    ),
    Page("private", 401, "This preview is private", "Its owner can open it from the studio."),
    Page(
        "unfound", 503, "The platform is busy", "It cannot say where this is. This page retries.",
        again=True, retry_seconds=5,
    ),
    Page("away", 502, "No answer", "The machine that has this does not answer. Try again in a moment."),
    Page("large", 413, "Too large", "No request may have a body as large as this one."),
    Page("often", 429, "Too many requests", "Too many come from your address. Wait a moment.", retry_seconds=5),
    Page("looped", 508, "No way out", "A node's gatewayBaseUrl leads back to this entry. It must be the node's own."),
    Page("closed", 404, "No such address", "Nothing here is for visitors."),
    Page("slow", 504, "The app is too slow", "The app did not answer in time."),
)  # fmt: skip


def pages() -> str:
    """The text of the map of pages."""
    return "".join(f"{page.name}. {page.html}\n{page.name}.json {page.json}\n" for page in _PAGES)


def page(name: str) -> Page:
    """One of them."""
    return next(page for page in _PAGES if page.name == name)
