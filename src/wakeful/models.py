"""pydantic models, kept and sent as the JSON that pydantic itself makes of them.

pydantic is optional: nothing here imports it. A class is a model if the program has imported
pydantic and the class is a subclass of its BaseModel.

Shapes:     `dump` gives plain JSON values (None, bool, int, float, str, list, dict); `load` takes
            what a decoder made of them.
Errors:     ValueError, naming each field that pydantic refuses.
Source:     pydantic 2, "Serialization" and "JSON" in its documentation.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import msgspec

Schema = dict[str, Any]


def is_model(cls: object) -> bool:
    """Whether a class is a pydantic model."""
    pydantic = sys.modules.get("pydantic")
    return pydantic is not None and isinstance(cls, type) and issubclass(cls, pydantic.BaseModel)


def dump(value: object) -> object:
    """A model as plain values; the hook of encoders for what they do not know.

    Raises:
        TypeError: the value is not a model.
        ValueError: it holds what its fields do not allow.
    """
    if not is_model(type(value)):
        raise TypeError(f"objects of type {type(value).__name__} have no such form")
    model: Any = value
    return model.model_dump(mode="json", by_alias=True, round_trip=True, warnings="error")


def load(cls: type, value: object) -> object:
    """The model of plain values, validated; the hook of decoders for what they do not know.

    Raises:
        ValueError: pydantic refuses it.
        TypeError: the class is not a model.
    """
    if cls is object:
        return value
    if not is_model(cls):
        raise TypeError(f"{cls.__name__} is not a class that values can be read into")
    if type(value) is cls:
        return value
    model: Any = cls
    try:
        return model.model_validate_json(msgspec.json.encode(value))
    except ValueError as error:
        raise ValueError(_in_one_line(cls, error)) from None


def fault_of(value: object) -> str | None:
    """Why a model would not come back equal, or None."""
    try:
        back = load(type(value), dump(value))
    except Exception as error:  # serializers and validators of the model may raise anything
        return str(error) or type(error).__name__
    if back != value:
        return f"{type(value).__name__} does not come back equal from its JSON form"
    return None


def schema_of(cls: type, ref_template: str) -> tuple[Schema, dict[str, Schema]]:
    """The JSON schema of a model, and the definitions it refers to, by name."""
    model: Any = cls
    # pydantic's placeholder is {model}
    schema: Schema = model.model_json_schema(ref_template=ref_template.format(name="{model}"))
    return schema, schema.pop("$defs", {})


def _in_one_line(cls: type, error: ValueError) -> str:
    """pydantic's report in one line, field by field: "Order.items.0.count: Input should be ..."."""
    errors: Callable[..., list[dict[str, Any]]] | None = getattr(error, "errors", None)
    if errors is None:
        return f"{cls.__name__}: {error}"
    return "; ".join(
        f"{'.'.join([cls.__name__, *map(str, found['loc'])])}: {found['msg']}"
        for found in errors(include_url=False, include_context=False, include_input=False)
    )
