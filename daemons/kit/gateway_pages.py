"""The gateway's own answers: one line of text each, as a page for people and as a document for programs.

Their keys are `{page}.json`, and `{page}.` for the usual form; a value ends with its line.
"""

import json
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class _Page:
    name: str
    status: int
    title: str
    text: str
    again: bool = False


_PAGES: Final = (
    _Page("absent", 404, "No such app", "No app runs at this address. It may not have been published yet."),
    _Page("starting", 503, "The app is starting", "It was just published. This page tries again.", again=True),
    _Page(
        "crashed", 503, "The app has crashed", "It ended by itself and is started again. Its log says why.",
        again=True,
    ),
    _Page("silent", 503, "The app is not answering", "The app is there, but nothing answers. Try again in a moment."),
    _Page("busy", 503, "The app is busy", "Too many visitors at once. Try again in a moment."),
    _Page("broken", 502, "The app broke off", "The app ended the connection without a valid answer."),
    _Page("unserved", 404, "No preview", "Nothing is served from this workspace. Start the preview in the editor."),
    _Page("asleep", 503, "The preview is starting", "Its server does not listen yet. This page retries.", again=True),
    _Page("slow", 504, "The app is too slow", "The app did not answer in time."),
)  # fmt: skip


def pages() -> str:
    """The text of the map of pages."""
    return "".join(f"{page.name}. {_html(page)}\n{page.name}.json {_json(page)}\n" for page in _PAGES)


def _html(page: _Page) -> str:
    refresh = "<meta http-equiv='refresh' content='5'>" if page.again else ""
    return (
        f"<!doctype html><html lang='en'><meta charset='utf-8'>{refresh}<title>{page.title}</title>"
        f"<body style='font-family:sans-serif;max-width:36em;margin:4em auto'><h1>{page.title}</h1><p>{page.text}</p>"
        "</body></html>"
    )


def _json(page: _Page) -> str:
    message = f"{page.title}: {page.text}"
    return json.dumps({"code": page.status, "message": message, "reason": f"app_{page.name}", "data": None})
