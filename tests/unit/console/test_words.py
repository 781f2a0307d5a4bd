"""The languages: catalogues are complete and in step with their sources, and what is drawn fits by cells."""

import ast
import gettext
import importlib
import pkgutil
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len
from textual.binding import BindingsMap

import console
import console.live.views.app_panels
import console.live.views.panels
import console.live.views.workspace_panels
from console.live.actions.registry import ACTIONS
from console.live.actions.spec import Aim, Option, Permit, Stand, Standing, question, refusal
from console.live.catalog import VIEWS
from console.live.keyed import Keyed
from console.live.model import Model, Scene
from console.live.order import InvalidOrder, Wish, order
from console.live.pages import page_of
from console.live.views.spec import ViewSpec
from console.live.views.users import UserRow
from console.live.words import DOMAIN, ENGLISH, FOLDER, LANGUAGES, choose, language_of, t
from protocol.accounts import Role
from tests.console.samples import NOW, snapshot
from tests.console.twin_workspaces import house, workspace
from tests.support.catalogues import mo, read_po

OTHERS = [each for each in LANGUAGES if each != ENGLISH]
#: What speaks, and how many texts it takes.
PLURAL = {"t": 1, "later": 1, "tn": 2}
CONSOLE = Path(console.__file__).parent
SOURCES = sorted(CONSOLE.rglob("*.py"))
#: What operators alone are spoken to by.
SPEAKING = [
    *sorted(CONSOLE.glob("live/actions/*.py")),
    *sorted(CONSOLE.glob("screens/*.py")),
    *sorted(CONSOLE.glob("widgets/*.py")),
    *(CONSOLE / path for path in ("live/commands.py", "live/order.py", "live/keymap.py", "live/views/alerts.py")),
]
#: What is told of a wrong field of the deploy form.
RULES = {
    "app_id": "must be 1 to 40 lower-case letters, digits or '-', with a letter or digit at both ends",
    "user_id": "must be a positive whole number of at most 19 digits",
    "git_ref": "must be a branch, tag or commit: letters, digits, '.', '_', '/', '-', not starting with '-'",
    "repo": "must be ssh://git@host[:port]/owner/repository.git",
    "image": "must be an image reference: [registry/]repository[:tag][@sha256:digest], lower case",
}
WORDS = re.compile(r"[A-Za-z]{2,}[,;:]? [A-Za-z]{2,}")
#: A word that is neither an id, a name of ours, an option nor a state of the wire.
ENGLISH_WORDS = re.compile(r"(?<![\w-])[A-Za-z]{2,}(?![\w-])")


@pytest.fixture(autouse=True)
def english_again() -> Iterator[None]:
    yield
    choose(ENGLISH)


def catalogue(language: str) -> dict[str, str]:
    return read_po(FOLDER / language / "LC_MESSAGES" / f"{DOMAIN}.po")


def spoken(tree: ast.AST) -> Iterator[ast.Call]:
    """Where a text passes `t`, `tn` or `later`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in PLURAL:
            yield node


def literals() -> set[str]:
    """What stands in `t("...")`, `later("...")` and `tn("...", "...")`, the texts of the last joined by NUL."""
    found = set()
    for source in SOURCES:
        for call in spoken(ast.parse(source.read_text("utf-8"))):
            assert isinstance(call.func, ast.Name)
            texts = [each.value for each in call.args[: PLURAL[call.func.id]] if isinstance(each, ast.Constant)]
            if len(texts) == PLURAL[call.func.id]:
                found.add("\0".join(map(str, texts)))
    return found


def bindings() -> set[str]:
    """What the keys of screens and widgets are called."""
    found: set[str] = set()
    for package in ("console.screens", "console.widgets"):
        for module in pkgutil.iter_modules(importlib.import_module(package).__path__, f"{package}."):
            for each in vars(importlib.import_module(module.name)).values():
                own = vars(each).get("BINDINGS") if isinstance(each, type) else None
                if own and each.__module__.startswith("console."):
                    for keys in BindingsMap(own).key_to_bindings.values():
                        found |= {text for key in keys for text in (key.description, key.tooltip)}
    return found


_SUBJECTS = ("job", "node", "app", "runner", "drain", "user", "workspace", "workspace-node")


def tables() -> list[ViewSpec[Any]]:
    """Those of pages about one object, too."""
    return [*VIEWS, *(page_of(name).table("") for name in _SUBJECTS)]


def actions() -> set[str]:
    """What actions, their questions and the answers to them are called, and what they are for."""
    return {
        text
        for each in ACTIONS
        for text in (each.title, each.tooltip, each.ask, each.ask_many, each.verb, each.back, each.noun)
    }


def panels() -> set[str]:
    """What the lines above tables begin with."""
    found = set()
    views = console.live.views
    sources = (str(each.__file__) for each in (views.panels, views.app_panels, views.workspace_panels))
    trees = (ast.parse(Path(source).read_text("utf-8")) for source in sources)
    for node in (each for tree in trees for each in ast.walk(tree)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "titled":
            assert isinstance(node.args[0], ast.Constant)
            found.add(str(node.args[0].value))
    return found


def visible() -> set[str]:
    shown = {text for view in tables() for text in (view.title, view.empty, *(f.column.title for f in view.fields))}
    return {text for text in literals() | bindings() | shown | actions() | panels() if text.strip()}


@pytest.mark.parametrize("language", OTHERS)
def test_every_visible_string_is_translated(language: str) -> None:
    known = catalogue(language)
    missing = sorted(text for text in visible() if not known.get(text))
    assert not missing, f"write them into console/locale/{language}, then python -m tests.support.catalogues"


@pytest.mark.parametrize("language", OTHERS)
def test_nothing_is_translated_that_nobody_says(language: str) -> None:
    said = visible() | set(RULES.values())
    assert sorted(text for text in catalogue(language) if text and text not in said) == []


@pytest.mark.parametrize("language", OTHERS)
@pytest.mark.parametrize(("field", "rule"), RULES.items())
def test_what_a_form_refuses_is_said_in_every_language(language: str, field: str, rule: str) -> None:
    """The rules are the contract's, which knows no languages."""
    good = Wish("20001", "1", "main", "ssh://git@host:22/funai/a.git", "")
    given = "a b" if field != "image" else "A B"
    with pytest.raises(InvalidOrder) as english:
        order(replace(good, **{field: given}))
    assert english.value.message == rule
    choose(language)
    with pytest.raises(InvalidOrder) as problem:
        order(replace(good, **{field: given}))
    assert problem.value.message == catalogue(language)[rule] and problem.value.message != rule


@pytest.mark.parametrize("source", SPEAKING, ids=lambda source: source.name)
def test_no_sentence_is_said_in_english_alone(source: Path) -> None:
    """Of modules that speak to operators alone: two words in a row pass `t`, `tn` or `later`."""
    tree = ast.parse(source.read_text("utf-8"))
    passed = {id(part) for call in spoken(tree) for part in ast.walk(call)}
    passed |= {id(part) for part in ast.walk(tree) if kept_apart(part) for part in ast.walk(part)}
    said = [
        f"{node.lineno}: {node.value}"
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in passed
        if WORDS.search(node.value)
    ]
    assert not said, "let them pass t, tn or later"


def kept_apart(node: ast.AST) -> bool:
    """What is looked for elsewhere (keys, what actions are called), or is no sentence (documentation, faults of ours,
    classes of style sheets)."""
    match node:
        case ast.Expr(value=ast.Constant()) | ast.Raise():
            return True
        case ast.Call(func=ast.Name(id="Binding" | "LookupError" | "Column")):
            return True
        case ast.keyword(arg="title" | "ask" | "ask_many" | "verb" | "tooltip" | "back" | "classes" | "empty"):
            return True
        case ast.Call(func=ast.Name(id="_plan_action")) | ast.Constant(value="bold reverse"):
            return True
        case _:
            return False


@pytest.mark.parametrize("language", OTHERS)
def test_every_question_and_every_refusal_is_put_in_the_operators_language(language: str) -> None:
    """No word of English is left but what comes over the wire."""
    choose(language)
    there = snapshot()
    scene = Scene(Model(1, NOW, 0, 0, nodes=Keyed({"1": there.nodes[0]})), NOW)
    objects: dict[str, Any] = {
        "job": there.jobs[0],
        "app": there.jobs[0],
        "node": there.nodes[0],
        "runner": there.runners[0],
        "workspace": workspace("7", terminals=2, disk_used_bytes=None),
        "host": house(1, "ws-1"),
        "user": UserRow(user_id="7", role=Role.USER, enabled=True),
    }
    stand = Stand({"": Standing(Permit(production=True))})
    for action in (each for each in ACTIONS if each.noun):
        aim = Aim("a", objects[action.noun], scene, hidden=True)
        one = question(action, (aim,), stand, Option("3", "3"))
        many = question(action, (aim, aim), stand, Option("3", "3")) if action.several else one
        none, stale = (refusal(action, action.views[0], (), each) for each in (stand, Stand()))
        other = refusal(action, "events", (aim,), stand)
        every = (one.title, one.consequence, *one.targets, many.title, *many.targets, none, stale, other)
        for sentence in every:
            assert sentence is not None
            assert ENGLISH_WORDS.findall(sentence) == [], action.id


@pytest.mark.parametrize("language", OTHERS)
def test_translations_take_the_same_values(language: str) -> None:
    for text, translated in catalogue(language).items():
        if text:
            wanted = set(re.findall(r"{[^}]*}", text))
            assert wanted == set(re.findall(r"{[^}]*}", translated)), text


@pytest.mark.parametrize("language", OTHERS)
def test_what_is_loaded_is_what_is_written(language: str) -> None:
    made = FOLDER / language / "LC_MESSAGES" / f"{DOMAIN}.mo"
    assert made.read_bytes() == mo(catalogue(language)), "python -m tests.support.catalogues"
    with made.open("rb") as file:
        loaded = gettext.GNUTranslations(file)
    for text, translated in catalogue(language).items():
        one, _, many = text.partition("\0")
        assert not one or (loaded.ngettext(one, many, 1) if many else loaded.gettext(one)) == translated


@pytest.mark.parametrize("language", OTHERS)
def test_titles_fit_their_columns_by_cells(language: str) -> None:
    choose(language)
    for view in tables():
        for field in view.fields:
            if not field.column.flex:
                assert cell_len(t(field.column.title)) <= max(field.column.width, cell_len(field.column.title)), (
                    field.name
                )


def test_the_language_is_chosen_by_the_environment() -> None:
    assert language_of({}) == ENGLISH
    assert language_of({"LANG": "zh_CN.UTF-8"}) == "zh_CN"
    assert language_of({"LANG": "zh_TW.UTF-8"}) == "zh_CN"
    assert language_of({"LANG": "zh_CN.UTF-8", "LC_ALL": "C"}) == ENGLISH
    assert language_of({"LANG": "de_DE.UTF-8"}) == ENGLISH
    choose("zh_CN")
    assert t("Jobs") != "Jobs" and t("something else") == "something else"
    with pytest.raises(LookupError):
        choose("xx")
