"""Curl commands of users become words, and nothing that a shell would read."""

import pytest

from daemons.workspace.domain.trying import NotCurl, curl_program


def _words(text: str) -> list[str]:
    program = curl_program(text, "5")
    words = list(program.command)
    return words[words.index("--proto-redir") + 2 :]


def test_the_command_runs_in_the_apps_folder() -> None:
    program = curl_program("curl http://127.0.0.1:5173/", "5")
    assert (program.command[0], program.folder) == ("curl", "/workspace/apps/5")
    assert "=http,https" in program.command


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("curl http://a/?a=1&b=2", ["http://a/?a=1&b=2"]),
        ("curl -H 'A: b c' \\\n http://a/", ["-H", "A: b c", "http://a/"]),
        ("curl \\\r\n  http://a/", ["http://a/"]),
        ("curl http://a/\nrm -rf /", ["http://a/", "rm", "-rf", "/"]),
        ("curl http://a/$(id)`id`", ["http://a/$(id)`id`"]),
        ('curl -d \'{"a": "x | y > z"}\' http://a/', ["-d", '{"a": "x | y > z"}', "http://a/"]),
    ],
)
def test_it_is_split_as_a_shell_would_and_no_more(text: str, words: list[str]) -> None:
    assert _words(text) == words


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "wget http://a/",
        "curlx http://a/",
        "/bin/curl x",
        "curl 'a",
        "curl a | sh",
        "curl a > b",
        "curl a && id",
        "curl a\0b",
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(NotCurl):
        curl_program(text, "5")
