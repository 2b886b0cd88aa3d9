"""A description of all actors for people and generators: OpenAPI 3.1, from the signatures.

Shapes:  a path for each method of each type; of those marked @readonly GET as well as POST. What
         has no JSON schema (an unannotated parameter, say) is described as any value.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from wakeful import models
from wakeful.actor_type import EMPTY, ActorType, MethodPlan, Parameter
from wakeful.codec import to_json
from wakeful.errors import WakefulError
from wakeful.http.message import JSON
from wakeful.http.problems import PROBLEM, title
from wakeful.ids import NAME_BYTES_MAX

Schema = dict[str, object]
Schemas = Mapping[int, Schema]  # of annotations, by id

REFS: Final = "#/components/schemas/{name}"
PROBLEM_NAME: Final = "WakefulProblem"
NAME: Final[Schema] = {
    "name": "name",
    "in": "path",
    "required": True,
    "description": "The actor's name, percent-encoded.",
    "schema": {"type": "string", "minLength": 1, "maxLength": NAME_BYTES_MAX},
}
TYPE: Final[Schema] = {**NAME, "name": "type", "description": "The actor's type."}
PROBLEM_SCHEMA: Final[Schema] = {
    "type": "object",
    "required": ["type", "title", "status", "code", "detail", "retry"],
    "properties": {
        "type": {"type": "string", "format": "uri-reference"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string", "description": "Stable; decide by it, or by `retry`."},
        "detail": {"type": "string"},
        "retry": {"enum": ["never", "safe", "only-if-idempotent"]},
        "field": {"type": "string", "description": "The argument at fault."},
        "exception": {"type": "string", "description": "The class of what the actor raised."},
        "message": {"type": "string", "description": "The message of what the actor raised."},
        "outcome": {"enum": ["unknown"], "description": "The call may have run."},
    },
}
REFUSALS: Final = {
    "400": "The request could not be read.",
    "403": "The Host or the Origin is not allowed here.",
    "404": "There is no such actor.",
    "408": "The body did not arrive in time.",
    "413": "The body, the name or what the actor would keep is too large.",
    "415": "The body is not JSON.",
    "422": "The arguments do not fit the signature; `field` names the one at fault.",
    "429": "The actor has too many calls waiting, or is over its rate; see Retry-After.",
    "500": "The actor raised, or could not wake.",
    "503": "Nothing ran: the runtime is at a limit, or the actor was busy; see Retry-After.",
    "504": "No answer in time; the outcome is unknown.",
}


def document(types: Iterable[ActorType], root: str = "") -> bytes:
    """The document, as JSON; `root` is what the application is mounted at."""
    known = list(types)
    schemas, components = _schemas(known)
    paths: dict[str, Schema] = {}
    for actor_type in known:
        for plan in actor_type.methods.values():
            path = f"/actors/{actor_type.name}/{{name}}/{plan.name}"
            paths[path] = _operations(actor_type, plan, schemas)
    _tell_apart(paths.values())
    content: Schema = {
        "openapi": "3.1.0",
        "info": {
            "title": "Actors",
            "version": "1",
            "description": "Each actor is addressed by its type and its name.",
        },
        "servers": [{"url": root or "/"}],
        "paths": {**paths, **_fixed_paths()},
        "components": {"schemas": {**components, PROBLEM_NAME: PROBLEM_SCHEMA}},
    }
    return to_json(content)


def _tell_apart(paths: Iterable[Schema]) -> None:
    """Make operationIds unique: A.b_c and A_b.c would share one, as would GET of b and b_get."""
    seen: set[object] = set()
    found = [each for operations in paths for each in operations.values()]
    for operation in found:
        if isinstance(operation, dict):
            while operation["operationId"] in seen:
                operation["operationId"] += "_"
            seen.add(operation["operationId"])


def _schemas(types: list[ActorType]) -> tuple[Schemas, dict[str, Schema]]:
    """The schema of every annotation, and of the classes that they name."""
    annotations = [
        typed.annotation
        for actor_type in types
        for plan in actor_type.methods.values()
        for typed in (plan.returns, *(parameter.typed for parameter in plan.parameters))
    ]
    describable = [annotation for annotation in annotations if _have_schemas([annotation])]
    if not _have_schemas(describable):  # two classes have one name, module and all
        describable = _together(describable)
    of_models: dict[str, Schema] = {}

    def described(cls: type) -> Schema:
        schema, definitions = models.schema_of(cls, REFS)
        of_models.update(definitions)
        return schema

    found, components = msgspec.json.schema_components(
        describable, schema_hook=described, ref_template=REFS
    )
    return dict(zip(map(id, describable), found, strict=True)), {**of_models, **components}


def _have_schemas(annotations: list[object]) -> bool:
    try:
        msgspec.json.schema_components(
            annotations, schema_hook=lambda cls: models.schema_of(cls, REFS)[0]
        )
    except Exception:  # msgspec's, and a schema hook of the user's may raise anything
        return False
    return True


def _together(annotations: list[object]) -> list[object]:
    """The annotations that can be described together with those before them."""
    kept: list[object] = []
    for annotation in annotations:
        if _have_schemas([*kept, annotation]):
            kept.append(annotation)
    return kept


def _operations(actor_type: ActorType, plan: MethodPlan, schemas: Schemas) -> Schema:
    text = inspect.getdoc(getattr(actor_type.cls, plan.name)) or ""
    summary, _, description = text.partition("\n")
    shared: Schema = {
        "tags": [actor_type.name],
        "summary": summary or f"{actor_type.name}.{plan.name}",
        **({"description": description.strip()} if description.strip() else {}),
        "responses": {
            "200": {
                "description": "What the method returned.",
                "content": {JSON: {"schema": schemas.get(id(plan.returns.annotation), {})}},
            },
            **_problems(actor_type.errors_for_callers()),
        },
    }
    name = f"{actor_type.name}_{plan.name}"
    post: Schema = {"operationId": name, **shared}
    if plan.parameters:
        post["requestBody"] = _body(plan, schemas)
    operations: Schema = {"parameters": [NAME], "post": post}
    if plan.readonly:
        query = [_query(parameter, schemas) for parameter in plan.parameters]
        operations["get"] = {"operationId": f"{name}_get", **shared, "parameters": query}
    return operations


def _body(plan: MethodPlan, schemas: Schemas) -> Schema:
    """Arguments by keyword or by position, as far as the signature allows either."""
    forms: list[Schema] = []
    parameters = plan.parameters
    required = [parameter.name for parameter in parameters if parameter.default is EMPTY]
    if all(parameter.by_keyword for parameter in parameters):
        forms.append(
            {
                "type": "object",
                "properties": {p.name: _described(p, schemas) for p in parameters},
                "required": required,
                "additionalProperties": False,
            }
        )
    positional = [parameter for parameter in parameters if parameter.by_position]
    if all(p.by_position or p.default is not EMPTY for p in parameters):
        forms.append(
            {
                "type": "array",
                "prefixItems": [_described(parameter, schemas) for parameter in positional],
                "items": False,
                "minItems": len([p for p in positional if p.default is EMPTY]),
                "maxItems": len(positional),
            }
        )
    schema: Schema = forms[0] if len(forms) == 1 else {"anyOf": forms}
    return {"required": bool(required), "content": {JSON: {"schema": schema}}}


def _query(parameter: Parameter, schemas: Schemas) -> Schema:
    schema = _described(parameter, schemas)
    plain = schema.get("type") in ("string", "integer", "number", "boolean")
    return {
        "name": parameter.name,
        "in": "query",
        "required": parameter.default is EMPTY,
        **({"schema": schema} if plain else {"content": {JSON: {"schema": schema}}}),
    }


def _described(parameter: Parameter, schemas: Schemas) -> Schema:
    schema = schemas.get(id(parameter.typed.annotation), {})
    if parameter.default is EMPTY or "$ref" in schema:
        return schema
    try:
        default = to_json(parameter.default)
    except Exception:  # the default is whatever the user's class has there
        return schema
    if default == b"null" and parameter.default is not None:  # NaN and the infinities
        return schema
    return {**schema, "default": msgspec.Raw(default)}


def _problems(own: Iterable[type[WakefulError]] = ()) -> Schema:
    """The error answers of a method; `own` are the actor's own errors."""
    content = {PROBLEM: {"schema": {"$ref": REFS.format(name=PROBLEM_NAME)}}}
    texts = {status: [text] for status, text in REFUSALS.items()}
    for error in own:
        texts.setdefault(str(error.http), []).append(f"`{error.code}`: {title(error)}")
    found: Schema = {
        status: {"description": " ".join(texts[status]), "content": content}
        for status in sorted(texts)
    }
    return {**found, "default": {"description": "Another problem.", "content": content}}


def _fixed_paths() -> Schema:
    """The paths that do not depend on the actors."""

    def read(summary: str, media: str = JSON, parameters: tuple[Schema, ...] = ()) -> Schema:
        answer = {"description": summary, "content": {media: {}}}
        return {
            "tags": ["wakeful"],
            "summary": summary,
            "parameters": list(parameters),
            "responses": {"200": answer, **_problems()},
        }

    def text(name: str) -> Schema:
        return {"name": name, "in": "query", "schema": {"type": "string"}}

    limit: Schema = {
        "name": "limit",
        "in": "query",
        "schema": {"type": "integer", "minimum": 1, "maximum": 1000},
    }
    one = (TYPE, NAME)
    health = read("Whether it is live (it answers) and ready (calls would be committed).")
    return {
        "/_wakeful/health": {"get": health},
        "/_wakeful/metrics": {"get": read("Prometheus metrics.", "text/plain")},
        "/_wakeful/actors": {
            "get": read(
                "The types that are stored, or the stored actors of one type.",
                parameters=(text("type"), text("prefix"), text("cursor"), limit),
            )
        },
        "/_wakeful/actors/{type}/{name}": {
            "get": read("What an actor keeps.", parameters=one),
            "delete": read("Remove an actor and all it keeps.", parameters=one),
        },
        "/openapi.json": {"get": read("This document.")},
    }
