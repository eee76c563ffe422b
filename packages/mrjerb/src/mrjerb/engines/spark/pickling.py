"""A job without a file as bytes: cloudpickle, which also takes classes of msgspec's.

cloudpickle makes a class empty and fills it afterwards, but a Struct has to know its fields when it is made.
"""

import io
from types import FunctionType
from typing import Any, Final

import msgspec

CONFIG: Final = ("frozen", "order", "eq", "array_like", "gc", "repr_omit_defaults", "omit_defaults")
MORE: Final = ("forbid_unknown_fields", "weakref", "dict", "cache_hash", "tag", "tag_field")
METHODS: Final = (FunctionType, classmethod, staticmethod, property)


def dumps(value: Any) -> bytes:
    """A value, with the code of what only this process knows. Raises what pickle raises."""
    from pyspark import cloudpickle

    class Pickler(cloudpickle.CloudPickler):
        """Makes Structs with their fields; their methods, which may name the class, follow."""

        def reducer_override(self, obj: Any) -> Any:
            if isinstance(obj, type) and issubclass(obj, msgspec.Struct) and obj.__module__ == "__main__":
                return _made, _parts(obj), _methods(obj), None, None, _add
            return super().reducer_override(obj)

    with io.BytesIO() as file:
        Pickler(file).dump(value)
        return file.getvalue()


def _parts(struct: type[msgspec.Struct]) -> tuple[str, list[Any], tuple[type, ...], dict[str, Any]]:
    """What a Struct's class is made of: its name, its own fields, its bases, and how it behaves."""
    own = vars(struct).get("__annotations__", {})
    known = {field.name: field for field in msgspec.structs.fields(struct)}
    fields = [_field(known[name], kind) for name, kind in own.items() if name in known]
    config = struct.__struct_config__
    return struct.__name__, fields, struct.__bases__, {name: getattr(config, name) for name in (*CONFIG, *MORE)}


def _field(field: msgspec.structs.FieldInfo, kind: Any) -> tuple[str, Any, dict[str, Any]]:
    """A field's name, type, and what `msgspec.field` takes."""
    said = {"default": field.default, "default_factory": field.default_factory}
    given = {name: value for name, value in said.items() if value is not msgspec.NODEFAULT}
    return field.name, kind, given if field.encode_name == field.name else given | {"name": field.encode_name}


def _methods(struct: type[msgspec.Struct]) -> dict[str, Any]:
    return {name: found for name, found in vars(struct).items() if isinstance(found, METHODS)}


def _made(name: str, fields: list[Any], bases: tuple[type, ...], config: dict[str, Any]) -> type[msgspec.Struct]:
    fields = [(field, kind, msgspec.field(**given)) for field, kind, given in fields]
    return msgspec.defstruct(name, fields, bases=bases, module="__main__", kw_only=False, **config)


def _add(struct: type[msgspec.Struct], methods: dict[str, Any]) -> None:
    for name, method in methods.items():
        setattr(struct, name, method)
