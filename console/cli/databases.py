"""`funai apps db`: what is in the database of a deployed app. It reads alone; the audit log has who looked."""

import sys
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final

import orjson
import typer
from pydantic import ValidationError

from console.cli.outcome import USAGE, Failure, run
from console.cli.output import Output, OutputOption, say, say_csv, say_documents
from console.cli.releases import AppArgument
from console.live.plain import line
from protocol.client.databases import AppDatabaseClient
from protocol.client.deploy import AdminClient
from protocol.databases import FindDocuments

_NAME: Final = "collection"

CollectionArgument = Annotated[
    str | None, typer.Argument(metavar="[COLLECTION]", help="Find in this one; without it they are listed.")
]
WhichOption = Annotated[str | None, typer.Option("--filter", metavar="JSON", help='Only those that fit: {"n": 1}.')]
FieldsOption = Annotated[str | None, typer.Option("--projection", metavar="JSON", help='Only these fields: {"n": 1}.')]
OrderOption = Annotated[str | None, typer.Option("--sort", metavar="JSON", help='In this order: {"n": -1}.')]
MostOption = Annotated[int, typer.Option("--limit", "-n", min=1, max=200, help="At most so many documents.")]
SkipOption = Annotated[int, typer.Option("--skip", min=0, max=10_000, help="Without the first so many.")]


def db(
    app_id: AppArgument,
    collection: CollectionArgument = None,
    which: WhichOption = None,
    fields: FieldsOption = None,
    order: OrderOption = None,
    limit: MostOption = 50,
    skip: SkipOption = 0,
    output: OutputOption = Output.TABLE,
) -> None:
    """List the collections of a deployed app's database, or find documents in one: a line for each, which is cut when
    it is very long (not so with --output ndjson). Who looked is in the audit log."""

    async def work(client: AdminClient) -> None:
        database = AppDatabaseClient(client.transport, app_id)
        if collection is None:
            names = (await database.collections()).collections
            _shown(output, [{_NAME: name} for name in names], names)
            return
        wanted = {"filter": which, "projection": fields, "sort": order, "limit": limit, "skip": skip}
        found = await database.find(_question({_NAME: collection, **wanted}))
        _shown(output, found.items, [orjson.dumps(each).decode() for each in found.items])
        if found.truncated:
            sys.stderr.write("funai: there are more, and these are as much as one answer holds; name --projection\n")

    run(work, f"the database of app {app_id} cannot be read")


def _question(said: Mapping[str, object]) -> FindDocuments:
    """Raises Failure for what cannot be asked."""
    try:
        return FindDocuments.model_validate(said)
    except ValidationError as error:
        problem = error.errors(include_input=False)[0]
        raise Failure(f"{problem['loc'][0]} {problem['msg'].removeprefix('Value error, ')}", USAGE) from None


def _shown(output: Output, documents: Sequence[Mapping[str, Any]], lines: Sequence[str]) -> None:
    if output in (Output.JSON, Output.NDJSON):
        say_documents(output, documents)
    elif output is Output.CSV:
        say_csv([_NAME if documents and _NAME in documents[0] else "document"], [[each] for each in lines])
    else:
        for each in lines:
            say(line(each))
