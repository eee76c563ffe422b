"""Expressions from texts, as commands and Spark have them: Python's own syntax, of which only this is understood.

    comparison = field (== | != | < | <= | > | >=) value  |  field [not] in [value, …]  |  field.is_in([…])
               | field is [not] None (or == None)  |  field.is_null()  |  field.startswith(text)
    logic      = and, or, not (or & | ~), parentheses; 1 < price < 3
    field      = price | Impression.price | notes.score | note('score')
    value      = a text, number, bool or bytes  |  true, false  |  float('inf')  |  datetime('2011-02-16T07:00:00Z')

`str(expression)` is what `parse` reads. Nothing is run.
"""

import ast
from datetime import datetime
from typing import Any, Final

from eventlog.errors import QueryError
from eventlog.expressions import Compare, Expression, Field, IsIn, IsNull, StartsWith, note


def parse(text: str) -> Expression:
    """An expression from a text, in Python's own syntax; nothing else of Python is understood, and nothing is run."""
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise QueryError(
            f"where: {text!r} can't be read; write it like: Impression.price > 2 and user == 'u1' "
            f"(texts and times stand in quotes)"
        ) from None
    try:
        return _expression(tree)
    except RecursionError:
        raise QueryError("where: it is nested too deeply") from None


KNOWN: Final = "there are == != < <= > >=, in [...], is None, is not None, .startswith('…'), and, or, not"
_JSON: Final = {"true": True, "false": False}  # as programs and answers write them

_COMPARES = {ast.Eq: "==", ast.NotEq: "!=", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">="}


def _expression(node: ast.expr) -> Expression:  # noqa: PLR0911  (a line for each form)
    match node:
        case ast.BoolOp(op=op, values=values):
            joined = _expression(values[0])
            for value in values[1:]:
                joined = joined & _expression(value) if isinstance(op, ast.And) else joined | _expression(value)
            return joined
        case ast.BinOp(left=left, op=ast.BitAnd(), right=right):
            return _expression(left) & _expression(right)
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return _expression(left) | _expression(right)
        case ast.UnaryOp(op=ast.Not() | ast.Invert(), operand=inner):
            return ~_expression(inner)
        case ast.Compare():
            return _comparison(node)
        case ast.Call(
            func=ast.Attribute(value=field, attr="startswith"), args=[ast.Constant(value=str(beginning))], keywords=[]
        ):
            return StartsWith(_field(field), beginning)
        case ast.Call(func=ast.Attribute(value=field, attr="is_null"), args=[], keywords=[]):
            return IsNull(_field(field))
        case ast.Call(func=ast.Attribute(value=field, attr="is_in"), args=[values], keywords=[]):
            return IsIn(_field(field), _values(values))
    raise QueryError(f"where: {ast.unparse(node)!r} is not a comparison of a field with a value; {KNOWN}")


def _comparison(node: ast.Compare) -> Expression:
    """A comparison; `1 < price < 3` is two."""
    parts: list[Expression] = []
    for left, sign, right in zip([node.left, *node.comparators], node.ops, node.comparators, strict=False):
        if isinstance(sign, ast.In):
            parts.append(IsIn(_field(left), _values(right)))
        elif isinstance(sign, ast.NotIn):
            parts.append(~IsIn(_field(left), _values(right)))
        elif isinstance(sign, ast.Is | ast.IsNot | ast.Eq | ast.NotEq) and _is_none(right):
            null = IsNull(_field(left))
            parts.append(null if isinstance(sign, ast.Is | ast.Eq) else ~null)
        elif type(sign) not in _COMPARES:
            raise QueryError(f"where: {ast.unparse(node)!r} is not a comparison that is known here; {KNOWN}")
        elif _is_field(left):
            parts.append(Compare(_field(left), _COMPARES[type(sign)], _value(right)))
        else:
            turned = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}
            told = _COMPARES[type(sign)]
            parts.append(Compare(_field(right), turned.get(told, told), _value(left)))
    joined = parts[0]
    for part in parts[1:]:
        joined = joined & part
    return joined


def _is_field(node: ast.expr) -> bool:
    """Whether it stands for a field, or means to."""
    called = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "note"
    return called or isinstance(node, ast.Attribute | ast.Name)


def _field(node: ast.expr) -> Field:
    match node:
        case ast.Call(func=ast.Name(id="note"), args=[ast.Constant(value=str(name))], keywords=[]) if (
            name.isidentifier()
        ):
            return note(name)
        case ast.Name(id=name):
            return Field("", name)
        case ast.Attribute(value=ast.Name(id=kind), attr=name):
            return Field(kind, name)
    raise QueryError(f"where: {ast.unparse(node)!r} is not a field; write price or Impression.price")


def _is_none(node: ast.expr) -> bool:
    return (isinstance(node, ast.Constant) and node.value is None) or (isinstance(node, ast.Name) and node.id == "null")


def _value(node: ast.expr) -> Any:
    if isinstance(node, ast.Name) and node.id in _JSON:
        return _JSON[node.id]
    try:
        match node:
            case ast.Call(func=ast.Name(id="float"), args=[ast.Constant(value=str(told))], keywords=[]):
                return float(told)
            case ast.Call(func=ast.Name(id="datetime"), args=[ast.Constant(value=str(told))], keywords=[]):
                return datetime.fromisoformat(told)
        return ast.literal_eval(node)
    except (ValueError, TypeError):
        raise QueryError(f"where: {ast.unparse(node)!r} is not a value; put texts into quotes") from None


def _values(node: ast.expr) -> tuple[Any, ...]:
    if isinstance(node, ast.List | ast.Tuple | ast.Set):
        return tuple(_value(one) for one in node.elts)
    found = _value(node)
    if not isinstance(found, list | tuple | set | frozenset):
        raise QueryError(f"where: {ast.unparse(node)!r} is not a list of values")
    return tuple(found)
