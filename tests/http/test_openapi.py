"""The document says what the signatures say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec
import pytest
from tests.http.actors import Counter, Probe

from wakeful import Actor, CallError, readonly
from wakeful.actor_type import ActorType
from wakeful.http.openapi import document


@pytest.fixture(scope="module")
def paths() -> dict[str, Any]:
    return document_of(Counter, Probe)["paths"]  # type: ignore[no-any-return]


def document_of(*classes: type) -> dict[str, Any]:
    return msgspec.json.decode(document([ActorType(cls, []) for cls in classes]))  # type: ignore[no-any-return]


def body(operations: dict[str, Any]) -> Any:
    return operations["post"]["requestBody"]["content"]["application/json"]["schema"]


def test_readonly_methods_have_get_and_post_others_post(paths: dict[str, Any]) -> None:
    assert set(paths["/actors/Counter/{name}/get"]) == {"parameters", "get", "post"}
    assert set(paths["/actors/Counter/{name}/increment"]) == {"parameters", "post"}


def test_arguments_come_as_an_object_or_an_array(paths: dict[str, Any]) -> None:
    by = {"type": "integer", "default": 1}
    assert body(paths["/actors/Counter/{name}/increment"]) == {
        "anyOf": [
            {
                "type": "object",
                "properties": {"by": by},
                "required": [],
                "additionalProperties": False,
            },
            {"type": "array", "prefixItems": [by], "items": False, "minItems": 0, "maxItems": 1},
        ]
    }


def test_where_a_keyword_is_needed_an_array_will_not_do(paths: dict[str, Any]) -> None:
    schema = body(paths["/actors/Probe/{name}/small"])
    assert schema["type"] == "object"
    assert schema["required"] == ["number", "keyword"]
    assert schema["properties"]["number"] == {"type": "integer", "minimum": 0, "maximum": 9}


def test_query_parameters_are_text_or_json(paths: dict[str, Any]) -> None:
    query = {p["name"]: p for p in paths["/actors/Probe/{name}/typed"]["get"]["parameters"]}
    assert query["number"]["required"]
    assert query["number"]["schema"] == {"type": "integer"}
    assert not query["tags"]["required"]
    assert query["tags"]["content"]["application/json"]["schema"]["type"] == "array"


def test_docstrings_become_summaries(paths: dict[str, Any]) -> None:
    post = paths["/actors/Counter/{name}/increment"]["post"]
    assert post["summary"] == "Count up."
    assert post["description"] == "By one, if nothing else is said."
    assert post["operationId"] == "Counter_increment"


def test_operation_ids_and_the_refs_are_whole() -> None:
    whole = document_of(Counter, Probe)
    operations = [
        operation["operationId"]
        for path in whole["paths"].values()
        for method, operation in path.items()
        if method in ("get", "post") and "operationId" in operation
    ]
    assert len(operations) == len(set(operations))
    text = msgspec.json.encode(whole).decode()
    for ref in {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}:
        assert ref in whole["components"]["schemas"]


def test_what_has_no_schema_is_any_value(paths: dict[str, Any]) -> None:
    schema = body(paths["/actors/Probe/{name}/echo"])
    assert schema["anyOf"][0]["properties"] == {"value": {}}


def test_an_operation_id_is_there_once() -> None:
    class Page(Actor):
        @readonly
        async def views(self) -> int:
            return 1

        async def views_get(self) -> int:
            return 1

    class Page_views(Actor):
        async def get(self) -> int:
            return 1

    ids = [
        operation["operationId"]
        for path, operations in document_of(Page, Page_views)["paths"].items()
        if path.startswith("/actors/")
        for operation in operations.values()
        if isinstance(operation, dict)
    ]
    assert sorted(ids) == [
        *("Page_views", "Page_views_get", "Page_views_get_", "Page_views_get__"),
    ]


def test_classes_of_one_name_leave_the_document_whole() -> None:
    def made(kind: type) -> type:
        return dataclass(type("Point", (), {"__annotations__": {"x": kind}}))

    whole, part = made(int), made(float)

    class Maps(Actor):
        async def move(self, by: whole) -> None:  # type: ignore[valid-type]
            pass

        async def turn(self, by: part) -> None:  # type: ignore[valid-type]
            pass

    Maps.move.__annotations__["by"], Maps.turn.__annotations__["by"] = whole, part
    found = document_of(Maps)["paths"]
    [moved] = body(found["/actors/Maps/{name}/move"])["anyOf"][0]["properties"].values()
    assert moved == {"$ref": "#/components/schemas/Point"}
    assert body(found["/actors/Maps/{name}/turn"])["anyOf"][0]["properties"] == {"by": {}}


def test_a_default_that_json_has_not_is_left_out() -> None:
    class Odd(Actor):
        async def call(self, most: float = float("inf"), text: str = "\ud800") -> None:
            pass

    properties = body(document_of(Odd)["paths"]["/actors/Odd/{name}/call"])["anyOf"][0]
    assert properties["properties"] == {"most": {"type": "number"}, "text": {"type": "string"}}


def test_errors_that_the_module_names_are_answers(paths: dict[str, Any]) -> None:
    responses = paths["/actors/Counter/{name}/increment"]["post"]["responses"]
    assert responses["409"]["description"] == "`sold`: The seat is sold."
    assert set(responses["409"]["content"]) == {"application/problem+json"}


def test_an_error_with_a_status_of_ours_is_told_beside_it() -> None:
    class Busy(Actor):
        class Full(CallError):
            """No seat is left."""

            http = 429

        async def sell(self) -> None: ...

    document = document_of(Busy)
    responses = document["paths"]["/actors/Busy/{name}/sell"]["post"]["responses"]
    assert responses["429"]["description"].endswith("see Retry-After. `full`: No seat is left.")
