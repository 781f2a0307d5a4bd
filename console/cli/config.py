"""`funai config`: the operator's own settings: where they are, what they say, whether they can be used."""

import sys
from enum import StrEnum
from typing import Annotated, Final, assert_never

import orjson
import typer

from console.config import Config, InvalidConfig, load
from console.settings import columns_path, config_path

app = typer.Typer(rich_markup_mode=None)
_USAGE: Final = 2


class What(StrEnum):
    """What to do with the settings."""

    LOCATE = "locate"
    SHOW = "show"
    VALIDATE = "validate"
    SCHEMA = "schema"


@app.command("config")
def config(what: Annotated[What, typer.Argument(help="locate, show, validate or schema")] = What.SHOW) -> None:
    """Say where the settings are, show them, check them, or write their JSON schema.

    FUNAI_CONFIG names another file. Tokens never stand in it, so that it can be shown.
    """
    file = config_path()
    match what:
        case What.LOCATE:
            _write(f"settings  {file}{'' if file.exists() else '  (not there)'}\ncolumns   {columns_path()}")
        case What.SHOW:
            _write(_json(_loaded().model_dump(mode="json", by_alias=True, exclude_defaults=True)))
        case What.VALIDATE:
            found = _loaded()
            contexts = ", ".join(found.contexts) or "none"
            _write(f"{file} can be used; contexts: {contexts}" if file.exists() else f"{file} is not there")
        case What.SCHEMA:
            _write(_json(Config.model_json_schema(by_alias=True)))
        case _:
            assert_never(what)


def _loaded() -> Config:
    try:
        return load(config_path())
    except InvalidConfig as problem:
        typer.echo(f"funai: {problem}", err=True)
        raise typer.Exit(_USAGE) from None


def _json(value: object) -> str:
    return orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()


def _write(text: str) -> None:
    sys.stdout.write(text + "\n")
