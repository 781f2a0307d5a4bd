"""The operators' pages: nothing runs in them but files of the API, and their former addresses lead to them."""

import re
from html.parser import HTMLParser

import pytest

from daemons.api.http.pages import _FILES
from tests.http.api.conftest import Api

PAGES = ("/admin/nodes.html", "/admin/nodes-admin.html")
ASSETS = sorted(name for name in _FILES if not name.endswith(".html"))


class Elements(HTMLParser):
    """What an HTML file has."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, str] = {}
        self._in = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        self._in = tag

    def handle_data(self, data: str) -> None:
        self.texts[self._in] = self.texts.get(self._in, "") + data.strip()


@pytest.mark.parametrize("path", [*PAGES, *(f"/admin/nodes-assets/{name}" for name in ASSETS)])
async def test_every_file_comes_with_its_guards(api: Api, path: str) -> None:
    answer = await api.raw.get(path)
    assert answer.status_code == 200
    policy = dict(part.strip().split(" ", 1) for part in answer.headers["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == policy["form-action"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert policy["require-trusted-types-for"] == "'script'"
    wanted = {
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Opener-Policy": "same-origin",
        "X-Frame-Options": "DENY",
    }
    assert {name: answer.headers[name] for name in wanted} == wanted
    kind = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}[path[path.rindex(".") :]]
    assert answer.headers["Content-Type"] == f"{kind}; charset=utf-8"
    assert "Access-Control-Allow-Origin" not in answer.headers and "Set-Cookie" not in answer.headers
    same = await api.raw.get(path, headers={"If-None-Match": answer.headers["ETag"]})
    assert same.status_code == 304 and "Content-Security-Policy" in same.headers
    assert (await api.raw.head(path)).status_code == 200


@pytest.mark.parametrize("path", PAGES)
async def test_a_page_holds_nothing_that_its_policy_forbids(api: Api, path: str) -> None:
    page = Elements((await api.raw.get(path)).text)
    assert page.texts.get("script", "") == page.texts.get("style", "") == ""
    for tag, attributes in page.found:
        assert not any(name.startswith("on") or name == "style" for name in attributes), (tag, attributes)
        for name in ("src", "href"):
            where = attributes.get(name) or "/"
            assert where.startswith(("/admin/", "?mode=", "#", "data:,")) or where == "/", (tag, where)
            if where.startswith("/admin/"):
                assert (await api.raw.get(where)).status_code == 200
    # What a form of the page would send is in no address: its fields have no names.
    assert not [attributes for tag, attributes in page.found if tag == "input" and "name" in attributes]


def test_no_script_makes_markup_of_text_or_keeps_the_token() -> None:
    """The policy would stop the first in some browsers; nothing would stop the second."""
    for name in (name for name in ASSETS if name.endswith(".js")):
        code = re.sub(r"^\s*//.*$", "", _FILES[name].body.decode(), flags=re.M)
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function", code), (
            name
        )
        assert not re.search(r"localStorage|sessionStorage|document\.cookie|indexedDB|serviceWorker", code), name
        assert not re.search(r"https?://(?!10\.0\.0\.)", code), f"{name}: it asks nobody but its own origin"


@pytest.mark.parametrize(
    ("path", "where"),
    [
        ("/nodes.html", "/admin/nodes.html"),
        ("/nodes.html?token=secret", "/admin/nodes.html"),
        ("/nodes-admin.html", "/admin/nodes-admin.html"),
        ("/nodes-admin.html?mode=deploy", "/admin/nodes-admin.html?mode=deploy"),
        ("/nodes-admin.html?mode=workspace&token=secret", "/admin/nodes-admin.html?mode=workspace"),
        ("/nodes-admin.html?mode=//evil.example", "/admin/nodes-admin.html"),
        ("/nodes-admin.html?mode=deploy%0d%0aSet-Cookie:a=b", "/admin/nodes-admin.html"),
        ("/workspace-nodes.html", "/admin/nodes-admin.html?mode=workspace"),
        ("/workspace-nodes-admin.html?token=secret", "/admin/nodes-admin.html?mode=workspace"),
        ("/deploy-nodes.html", "/admin/nodes-admin.html?mode=deploy"),
    ],
)
async def test_former_addresses(api: Api, path: str, where: str) -> None:
    answer = await api.raw.get(path, follow_redirects=False)
    assert (answer.status_code, answer.headers["Location"]) == (302, where)
    assert answer.headers["Referrer-Policy"] == "no-referrer"


@pytest.mark.parametrize(
    "path",
    [
        "/admin/nodes-assets/nodes-admin.html",
        "/admin/nodes-assets/..%2fhttp%2fpages.py",
        "/admin/nodes-assets/%2e%2e/settings.py",
        "/admin/nodes-assets/",
        "/admin/",
        "/admin/nodes-admin.html/x",
        "/workspace-nodes/../x.html",
    ],
)
async def test_nothing_else_is_served(api: Api, path: str) -> None:
    answer = await api.raw.get(path, follow_redirects=False)
    assert answer.status_code == 404 and answer.json()["reason"] == "not_found"
