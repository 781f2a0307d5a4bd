"""The languages: catalogues are complete and in step with their sources, and what is drawn fits by cells."""

import ast
import gettext
import importlib
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len
from textual.binding import BindingsMap

import console
import console.live.views.panels
from console.live.actions.registry import ACTIONS
from console.live.catalog import VIEWS
from console.live.pages import page_of
from console.live.views.spec import ViewSpec
from console.live.words import DOMAIN, ENGLISH, FOLDER, LANGUAGES, choose, language_of, t
from tests.support.catalogues import mo, read_po

OTHERS = [each for each in LANGUAGES if each != ENGLISH]
SOURCES = sorted(Path(console.__file__).parent.rglob("*.py"))


@pytest.fixture(autouse=True)
def english_again() -> Iterator[None]:
    yield
    choose(ENGLISH)


def catalogue(language: str) -> dict[str, str]:
    return read_po(FOLDER / language / "LC_MESSAGES" / f"{DOMAIN}.po")


def literals() -> set[str]:
    """What stands in `t("...")` anywhere."""
    found = set()
    for source in SOURCES:
        for node in ast.walk(ast.parse(source.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "t" and node.args:
                text = node.args[0]
                if isinstance(text, ast.Constant) and isinstance(text.value, str):
                    found.add(text.value)
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


def tables() -> list[ViewSpec[Any]]:
    """Those of pages about one object, too."""
    return [*VIEWS, *(page_of(name).table("") for name in ("job", "node", "app", "runner", "drain", "user"))]


def actions() -> set[str]:
    """What actions and the answers to their questions are called."""
    return {text for each in ACTIONS for text in (each.title, each.tooltip, each.verb, each.back)}


def panels() -> set[str]:
    """What the lines above tables begin with."""
    found = set()
    for node in ast.walk(ast.parse(Path(console.live.views.panels.__file__).read_text("utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "_titled":
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
def test_translations_take_the_same_values(language: str) -> None:
    for text, translated in catalogue(language).items():
        if text:
            assert sorted(re.findall(r"{\w*}", text)) == sorted(re.findall(r"{\w*}", translated)), text


@pytest.mark.parametrize("language", OTHERS)
def test_what_is_loaded_is_what_is_written(language: str) -> None:
    made = FOLDER / language / "LC_MESSAGES" / f"{DOMAIN}.mo"
    assert made.read_bytes() == mo(catalogue(language)), "python -m tests.support.catalogues"
    with made.open("rb") as file:
        loaded = gettext.GNUTranslations(file)
    assert all(loaded.gettext(text) == translated for text, translated in catalogue(language).items() if text)


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
