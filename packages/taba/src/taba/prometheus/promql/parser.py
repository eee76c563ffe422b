"""A query's text -> what it is made of, its types checked; or an error that says where, what, and what there is.

    expression   = unary { operator [ "bool" ] expression }     by precedence; ^ from the right, others from the left
    operator     = "+" | "-" | "*" | "/" | "%" | "^" | "==" | "!=" | ">" | "<" | ">=" | "<="
                 | "and" | "or" | "unless"
    unary        = [ "+" | "-" ] operand
    operand      = number | "Inf" | "NaN" | "(" expression ")" | call | aggregation | selector
    call         = function "(" [ expression { "," expression } ] ")"
    aggregation  = name [ clause ] "(" [ expression "," ] expression ")" [ clause ]
    name         = "sum" | "avg" | "min" | "max" | "count" | "group" | "topk" | "bottomk"
    clause       = ( "by" | "without" ) "(" [ label { "," label } [ "," ] ] ")"
    selector     = ( metric [ matchers ] | matchers ) [ "[" duration "]" ] [ "offset" [ "-" ] duration ]
    matchers     = "{" [ matcher { "," matcher } [ "," ] ] "}"
    matcher      = label ( "=" | "!=" | "=~" | "!~" ) text

Functions are in `functions`. All other words of the language are known by name, to be refused by name.
"""

from __future__ import annotations

import math

from taba.prometheus.promql.functions import ELSEWHERE, FUNCTIONS, Function
from taba.prometheus.promql.labels import check_pattern, fits_empty
from taba.prometheus.promql.syntax import (
    AGGREGATIONS,
    COMPARISONS,
    NAME,
    PRECEDENCE,
    RANKED,
    SETS,
    Aggregation,
    Binary,
    Call,
    Expression,
    Kind,
    Matcher,
    Negation,
    Number,
    Selector,
)
from taba.prometheus.promql.tokens import QueryError, SyntaxProblem, Token, milliseconds, tokens

MAX_DEPTH = 50
"""Parentheses, calls and aggregations within each other."""
MAX_PARTS = 200
"""Operators, calls, aggregations, selectors and numbers in a query."""
MAX_MATCHERS = 30
LONGEST = 100 * 365 * 86_400_000
"""Ranges and offsets are at most so long, in milliseconds."""

OTHER_AGGREGATIONS = {"stddev", "stdvar", "count_values", "quantile", "limitk", "limit_ratio"}
MATCHING = {"on", "ignoring", "group_left", "group_right"}


def parse(query: str) -> Expression:
    """What the query means; raises SyntaxProblem."""
    return _Parser(query).whole()


def parse_selector(query: str) -> tuple[Matcher, ...]:
    """The matchers of a selector alone, as `match[]` takes it; raises SyntaxProblem."""
    found = parse(query)
    if not isinstance(found, Selector) or found.range is not None or found.offset:
        raise SyntaxProblem('a selector of series is expected here, as name{label="value"}', 0, query)
    return found.matchers


class _Parser:
    """Walks over the tokens once."""

    def __init__(self, query: str) -> None:
        self._query = query
        self._tokens = tokens(query)
        self._at = 0
        self._depth = 0
        self._parts = 0

    def whole(self) -> Expression:
        if self._now.kind == "end":
            raise self._problem("no expression found in input")
        found = self._expression(0)
        if self._now.kind != "end":
            raise self._unexpected("the end, or an operator")
        return found

    @property
    def _now(self) -> Token:
        return self._tokens[self._at]

    @property
    def _next(self) -> Token:
        return self._tokens[min(self._at + 1, len(self._tokens) - 1)]

    def _take(self) -> Token:
        token = self._now
        self._at += 1
        return token

    def _taken(self, *marks: str) -> Token | None:
        """The token, taken, if it is one of these marks or words."""
        fits = self._now.kind in ("mark", "word") and self._now.text.lower() in marks
        return self._take() if fits else None

    def _expect(self, mark: str, where: str) -> Token:
        token = self._taken(mark)
        if token is None:
            raise self._unexpected(f"{mark!r} {where}")
        return token

    def _problem(self, text: str, token: Token | None = None) -> SyntaxProblem:
        return SyntaxProblem(text, (token or self._now).position, self._query)

    def _unexpected(self, wanted: str) -> SyntaxProblem:
        if self._now.kind == "end":
            return self._problem(f"unexpected end of input; expected is {wanted}")
        return self._problem(f"unexpected {self._now.kind} {_short(self._now.text)}; expected is {wanted}")

    def _part(self) -> None:
        self._parts += 1
        if self._parts > MAX_PARTS:
            raise self._problem(f"the query has more than {MAX_PARTS} parts: ask for them apart")

    def _expression(self, weakest: int) -> Expression:
        """An expression of operators that bind at least as strongly as `weakest`."""
        left = self._unary()
        while True:
            token, operator = self._now, self._now.text.lower()
            binds = PRECEDENCE.get(operator, 0) if token.kind in ("mark", "word") else 0
            if not binds or binds < weakest:
                return left
            self._take()
            self._part()
            as_bool = self._taken("bool") is not None
            if self._now.kind == "word" and self._now.text.lower() in MATCHING:
                raise self._problem(
                    f"{self._now.text}(…) is not taken here: vectors are matched by all of their labels; "
                    "aggregate both sides to the same labels first"
                )
            right = self._expression(binds if operator == "^" else binds + 1)
            left = self._binary(Binary(operator, left, right, as_bool, token.position), token)

    def _binary(self, found: Binary, token: Token) -> Binary:
        compared, kinds = found.operator in COMPARISONS, {found.left.kind, found.right.kind}
        for side in (found.left, found.right):
            if side.kind == "range vector":
                raise self._problem(f"{token.text!r} takes no range vector: use rate(…) or increase(…) of it", token)
        if found.as_bool and not compared:
            raise self._problem("bool modifier can only be used on comparison operators", token)
        if compared and kinds == {"scalar"} and not found.as_bool:
            raise self._problem("comparisons between scalars must use bool modifier", token)
        if found.operator in SETS and "scalar" in kinds:
            raise self._problem(f"{found.operator!r} takes vectors on both sides, no scalar", token)
        return found

    def _unary(self) -> Expression:
        sign = self._taken("+", "-")
        if sign is None:
            return self._operand()
        self._enter()
        # A power binds more strongly than a sign before it, all else less.
        operand = self._expression(PRECEDENCE["^"])
        self._depth -= 1
        if operand.kind == "range vector":
            raise self._problem("a sign before a range vector: use rate(…) or increase(…) of it", sign)
        if sign.text == "+":
            return operand
        return (
            Number(-operand.value, sign.position) if isinstance(operand, Number) else Negation(operand, sign.position)
        )

    def _enter(self) -> None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise self._problem(f"the query is nested more than {MAX_DEPTH} deep")

    def _operand(self) -> Expression:
        token = self._now
        self._part()
        if token.kind == "number":
            return self._number(self._take())
        if token.kind == "mark" and token.text == "(":
            return self._bracketed()
        if token.kind == "mark" and token.text == "{":
            return self._selector(None)
        if token.kind == "word":
            return self._word()
        if token.kind == "text":
            raise self._problem('a text cannot be worked out: texts stand in matchers, as {label="value"}')
        raise self._unexpected("a number, a metric, a function or '('")

    def _number(self, token: Token) -> Number:
        try:
            value = float(int(token.text, 16)) if token.text[:2].lower() == "0x" else float(token.text)
        except OverflowError:
            raise self._problem(f"{_short(token.text)} is too great a number", token) from None
        return Number(value, token.position)

    def _bracketed(self) -> Expression:
        self._take()
        self._enter()
        found = self._expression(0)
        self._depth -= 1
        self._expect(")", "that closes the bracket")
        self._no_more()
        return found

    def _no_more(self) -> None:
        """Refuse what may stand behind an expression in the whole language."""
        if self._now.text == "[" and self._now.kind == "mark":
            raise self._problem("subqueries are not taken here: a range stands behind a metric, as name[5m]")
        if self._now.kind == "word" and self._now.text.lower() == "offset":
            raise self._problem("offset stands behind a metric, not behind an expression")
        self._no_at()

    def _no_at(self) -> None:
        if self._now.text == "@" and self._now.kind == "mark":
            raise self._problem("the modifier @ is not taken here: there is offset")

    def _word(self) -> Expression:
        token, word = self._now, self._now.text.lower()
        called = self._next.kind == "mark" and self._next.text == "("
        claused = self._next.kind == "word" and self._next.text.lower() in ("by", "without")
        if word in ("inf", "nan"):
            self._take()
            return Number(math.inf if word == "inf" else math.nan, token.position)
        if word in AGGREGATIONS and (called or claused):
            return self._aggregation()
        if called or (claused and word in OTHER_AGGREGATIONS):
            return self._call()
        if word in {"by", "without", "offset", "bool", "and", "or", "unless"} | MATCHING:
            raise self._unexpected("a number, a metric, a function or '('")
        return self._selector(self._take())

    def _call(self) -> Expression:
        token = self._now
        function = FUNCTIONS.get(token.text)
        if function is None:
            hint = ELSEWHERE.get(token.text.lower())
            there = f"there are {', '.join(FUNCTIONS)} and the aggregations {', '.join(AGGREGATIONS)}"
            raise self._problem(f"there is no function {_short(token.text)} here: {hint or there}")
        self._take()
        arguments = self._arguments()
        if len(arguments) not in (len(function.takes), len(function.takes) - function.optional):
            raise self._problem(f"expected {function.described(token.text)}, got {len(arguments)} argument(s)", token)
        for number, (given, wanted) in enumerate(zip(arguments, function.takes, strict=False), 1):
            self._check(given, wanted, f"argument {number} of {token.text}")
        self._check_call(token, function, arguments)
        found = Call(token.text, arguments, function.gives, token.position)
        self._no_more()
        return found

    def _check_call(self, token: Token, function: Function, arguments: tuple[Expression, ...]) -> None:
        if "range vector" in function.takes and not isinstance(arguments[0], Selector):
            raise self._problem(f"{token.text}(…) takes a metric with a range, as name[5m]", token)

    def _arguments(self) -> tuple[Expression, ...]:
        self._expect("(", "before the arguments")
        self._enter()
        found: list[Expression] = []
        while self._taken(")") is None:
            found.append(self._expression(0))
            if self._taken(",") is None:
                self._expect(")", "behind the arguments")
                break
        self._depth -= 1
        return tuple(found)

    def _check(self, given: Expression, wanted: Kind, where: str) -> None:
        if given.kind != wanted:
            raise SyntaxProblem(f"{where} must be of the type {wanted}, not {given.kind}", given.position, self._query)

    def _aggregation(self) -> Expression:
        token = self._take()
        operator = token.text.lower()
        clause = self._clause()
        arguments = self._arguments()
        clause = clause or self._clause() or (False, ())
        ranked = operator in RANKED
        if len(arguments) != 1 + ranked:
            wanted = f"{operator}(number, vector)" if ranked else f"{operator}(vector)"
            raise self._problem(f"expected {wanted}, got {len(arguments)} argument(s)", token)
        self._check(arguments[-1], "instant vector", f"the argument of {operator}")
        if ranked:
            self._check(arguments[0], "scalar", f"the first argument of {operator}")
        without, labels = clause
        parameter = arguments[0] if ranked else None
        found = Aggregation(operator, arguments[-1], labels, without, parameter, token.position)
        self._no_more()
        return found

    def _clause(self) -> tuple[bool, tuple[str, ...]] | None:
        word = self._taken("by", "without")
        if word is None:
            return None
        self._expect("(", f"behind {word.text}")
        labels: list[str] = []
        while self._taken(")") is None:
            labels.append(self._label())
            if self._taken(",") is None:
                self._expect(")", "behind the labels")
                break
        return word.text.lower() == "without", tuple(dict.fromkeys(labels))

    def _label(self) -> str:
        if self._now.kind != "word" or ":" in self._now.text:
            raise self._unexpected("a label's name")
        return self._take().text

    def _selector(self, name: Token | None) -> Selector:
        start = name or self._now
        matchers = [Matcher(NAME, "=", name.text)] if name else []
        if self._taken("{"):
            matchers += self._matchers(named=name is not None)
        if all(map(fits_empty, matchers)):
            raise self._problem("vector selector must contain at least one non-empty matcher", start)
        length = self._range() if self._taken("[") else None
        self._no_at()
        offset = self._offset() if self._taken("offset") else 0
        self._no_at()
        return Selector(tuple(matchers), length, offset, start.position)

    def _matchers(self, *, named: bool) -> list[Matcher]:
        found: list[Matcher] = []
        while self._taken("}") is None:
            token = self._now
            found.append(self._matcher())
            if len(found) > MAX_MATCHERS:
                raise self._problem(f"more than {MAX_MATCHERS} matchers", token)
            if named and found[-1].label == NAME:
                raise self._problem("metric name must not be set twice", token)
            if self._taken(",") is None:
                self._expect("}", "behind the matchers")
                break
        return found

    def _matcher(self) -> Matcher:
        label = self._label()
        operator = self._taken("=", "!=", "=~", "!~")
        if operator is None:
            raise self._unexpected("=, !=, =~ or !~")
        if self._now.kind != "text":
            raise self._unexpected("a text in quotation marks")
        token = self._take()
        if operator.text in ("=~", "!~"):
            try:
                check_pattern(token.text)
            except QueryError as error:
                raise self._problem(str(error), token) from None
        return Matcher(label, operator.text, token.text)

    def _range(self) -> int:
        length = self._duration("a range")
        if self._now.kind == "word" and self._now.text.startswith(":"):
            raise self._problem("subqueries are not taken here: a range is one duration, as [5m]")
        self._expect("]", "behind the range")
        return length

    def _offset(self) -> int:
        back = self._taken("-") is not None
        length = self._duration("an offset")
        return -length if back else length

    def _duration(self, what: str) -> int:
        if self._now.kind != "duration":
            raise self._unexpected(f"a duration for {what}, as 90s or 1h30m")
        token = self._take()
        length = milliseconds(token.text)
        if not 0 < length <= LONGEST:
            raise self._problem(f"{what} must be more than 0 and at most 100y", token)
        return length


def _short(text: str) -> str:
    return repr(text if len(text) <= 60 else f"{text[:57]}…")
