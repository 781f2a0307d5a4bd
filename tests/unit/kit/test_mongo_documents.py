"""What people may send to a database, and what they may not."""

import json

import pytest

from daemons.kit.mongo.documents import (
    BadDocument,
    Purpose,
    SystemCollection,
    document,
    document_id,
    order,
    own_collection,
    update,
    validator,
)


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        '{"a": 1}',
        '{"a": {"$gte": 1, "$lt": {"$date": "2026-01-02T03:04:05Z"}}}',
        '{"$or": [{"a": {"$in": [1, "x"]}}, {"b": {"$regex": "^a", "$options": "i"}}]}',
        '{"_id": {"$oid": "0123456789abcdef01234567"}}',
        '{"a": {"$elemMatch": {"b": {"$not": {"$size": 3}}}}}',
        '{"$expr": {"$gt": ["$spent", "$budget"]}}',
        '{"at": {"$geoWithin": {"$centerSphere": [[1, 2], 0.1]}}}',
    ],
)
def test_filters_of_every_day_pass_as_they_are(text: str) -> None:
    assert document(text, Purpose.FILTER) == json.loads(text)


@pytest.mark.parametrize("text", [None, "", "  "])
def test_no_text_is_an_empty_document(text: str | None) -> None:
    assert document(text, Purpose.FILTER) == {}


@pytest.mark.parametrize(
    "text",
    [
        '{"$where": "sleep(10000) || true"}',
        '{"a": {"$where": "1"}}',
        '{"$or": [{"a": 1}, {"$where": "1"}]}',
        '{"\\u0024where": "1"}',
        '{"$expr": {"$function": {"body": "function() {}", "args": [], "lang": "js"}}}',
        '{"$expr": {"$gt": [{"$accumulator": {"init": "x"}}, 1]}}',
        '{"a": {"$code": "function() {}"}}',
        '{"a": [[[{"$code": "x", "$scope": {}}]]]}',
    ],
)
@pytest.mark.parametrize("purpose", list(Purpose))
def test_what_runs_code_is_refused_wherever_it_hides(text: str, purpose: Purpose) -> None:
    with pytest.raises(BadDocument, match=f"^{purpose}: .*leave it out"):
        document(text, purpose)


@pytest.mark.parametrize(
    ("text", "purpose"),
    [
        ('{"$_internalJsEmit": {"eval": "x", "this": {}}}', Purpose.FILTER),
        ('{"$newInNine": 1}', Purpose.FILTER),
        ('{"a": {"$set": 1}}', Purpose.FILTER),
        ('{"a": {"$lookup": {"from": "other"}}}', Purpose.PROJECTION),
        ('{"a": {"$gt": 1}}', Purpose.DOCUMENT),
        ('{"$set": {"a": 1}}', Purpose.DOCUMENT),
        ('{"a": {"$natural": 1}}', Purpose.SORT),
        ('{"properties": {"a": {"$ref": "x"}}}', Purpose.FIELDS),
        ('{"a": {"$ref": "users", "$id": 1}}', Purpose.DOCUMENT),
    ],
)
def test_an_operator_that_has_no_business_there_is_refused(text: str, purpose: Purpose) -> None:
    with pytest.raises(BadDocument, match="leave it out"):
        document(text, purpose)


@pytest.mark.parametrize(
    "text", ["{", "nonsense", '{"a": NaN}', '{"a": Infinity}', "[" * 5000, '{"a":' * 5000 + "1" + "}" * 5000]
)
def test_what_is_not_json_is_refused_without_being_repeated(text: str) -> None:
    with pytest.raises(BadDocument) as refused:
        document(text, Purpose.FILTER)
    assert len(str(refused.value)) < 100


@pytest.mark.parametrize("text", ["1", '"a"', "[]", "null", "true", '[{"a": 1}]'])
def test_a_filter_is_an_object(text: str) -> None:
    with pytest.raises(BadDocument, match="filter: must be a JSON object"):
        document(text, Purpose.FILTER)


def test_depth_is_bounded() -> None:
    deep = '{"a":' * 32 + "1" + "}" * 32
    assert document(deep, Purpose.DOCUMENT)
    with pytest.raises(BadDocument, match="deep"):
        document(f'{{"a": {deep}}}', Purpose.DOCUMENT)


def test_a_zero_byte_in_a_name_is_refused() -> None:
    with pytest.raises(BadDocument, match="zero byte"):
        document('{"a\\u0000b": 1}', Purpose.DOCUMENT)


def test_an_update_is_made_of_operators() -> None:
    assert update('{"$set": {"a": 1}, "$inc": {"n": 2}}') == {"$set": {"a": 1}, "$inc": {"n": 2}}
    for text in ("{}", '{"a": 1}', '{"$set": {"a": 1}, "b": 2}', '{"$gt": 1}', '[{"$set": {"a": 1}}]'):
        with pytest.raises(BadDocument, match=r"^update"):
            update(text)


def test_a_sort_order_keeps_the_order_of_its_keys() -> None:
    assert list(order('{"b": -1, "a": 1}').items()) == [("b", -1), ("a", 1)]
    assert order('{"score": {"$meta": "textScore"}}')
    for text in ('{"a": 2}', '{"a": "1"}', '{"a": null}', '{"a": [1]}'):
        with pytest.raises(BadDocument, match=r"^sort"):
            order(text)


def test_ids_that_look_like_object_ids_are_such() -> None:
    assert document_id("0123456789ABCDEF01234567") == {"$oid": "0123456789abcdef01234567"}
    assert document_id("0123456789abcdef0123456") == "0123456789abcdef0123456"
    assert document_id('{"$gt": ""}') == '{"$gt": ""}'


def test_collections_of_the_server_are_nobodys() -> None:
    assert own_collection("systems") == "systems"
    for name in ("system.users", "system.js", "system.profile"):
        with pytest.raises(SystemCollection):
            own_collection(name)


def test_rules_come_as_a_schema_or_as_a_list_of_fields() -> None:
    schema = {"bsonType": "object", "required": ["name"]}
    assert validator(json.dumps(schema)) == {"$jsonSchema": schema}
    fields = [
        {"name": "name", "type": "string", "required": True},
        {"name": "age", "type": "integer", "nullable": True, "required": False},
    ]
    assert validator(json.dumps(fields)) == {
        "$jsonSchema": {
            "bsonType": "object",
            "properties": {"name": {"bsonType": "string"}, "age": {"bsonType": ["int", "null"]}},
            "required": ["name"],
        }
    }
    assert validator(None) == validator("[]") == validator("{}") == {}


@pytest.mark.parametrize(
    "text",
    ['"x"', "[1]", '[{"name": "a"}]', '[{"name": "a", "type": "javascript"}]', '[{"name": "a.b", "type": "int"}]',
     '[{"name": "", "type": "int"}]', '[{"name": 1, "type": "int"}]', '[{"type": "int"}]'],
)  # fmt: skip
def test_rules_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(BadDocument, match=r"^fields"):
        validator(text)
