"""The template of the route that a request took: /users/{id}, and never /users/42, of which there is no end.

Frameworks leave it behind in what the server and the app share, under names of their own:

    any                    `taba.route` in the scope or the environ, for an app to set
    Starlette, FastAPI     scope["route"], below the mounts that scope["root_path"] tells of
    Litestar               scope["path_template"]
    Flask                  environ["werkzeug.request"].url_rule, until it has answered
    Bottle                 environ["bottle.route"]
    Django, Quart          nothing: their own router is asked again, and its answers are kept for PATHS paths

A finder takes a scope or an environ after the app has answered, and returns a template, or None where there is none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any

OWN_KEY = "taba.route"
UNMATCHED = "unmatched"
"""The route of requests for which no route is known."""
PATHS = 1024
"""Paths whose template is kept, so that a router is not asked twice for the same."""
DEEPEST = 16
"""Middleware around middleware, at most, through which an app is looked for."""
INNER = ("app", "application", "wsgi_app", "asgi_app", "_app", "wrapped_app", "__self__", "__wrapped__")
"""Where middleware keeps what it wraps, and a bound method its object."""

Finder = Callable[[Any], str | None]


def asgi_finder(app: object) -> Finder:
    """Finds the template in an ASGI scope, for an app like this."""
    ask = _asker(app)

    def find(scope: Mapping[str, Any]) -> str | None:
        if (own := scope.get(OWN_KEY)) is not None:
            return str(own)
        if "route" in scope:
            return _starlette(scope, scope["route"])
        if template := scope.get("path_template"):
            return template
        if ask is not None:
            return ask(str(scope.get("method", "GET")), _path_below(scope))
        return _by_endpoint(scope) if "router" in scope else None

    return find


def wsgi_finder(app: object) -> Finder:
    """Finds the template in a WSGI environ, for an app like this."""
    ask = _asker(app)

    def find(environ: Mapping[str, Any]) -> str | None:
        if (own := environ.get(OWN_KEY)) is not None:
            return str(own)
        if (request := environ.get("werkzeug.request")) is not None:  # None once Flask has done with it
            return getattr(getattr(request, "url_rule", None), "rule", None)
        if (route := environ.get("bottle.route")) is not None:
            return route.rule
        if ask is not None:
            # Bytes of the path stand there as characters of latin-1.
            path = str(environ.get("PATH_INFO", "")).encode("latin-1").decode("utf-8", "replace")
            return ask(str(environ.get("REQUEST_METHOD", "GET")), path)
        return None

    return find


def written(route: str) -> str:
    """A template as a tag can hold it, which has no braces: /users/{id} is /users/<id>."""
    return route.replace("{", "<").replace("}", ">")


def _path_below(scope: Mapping[str, Any]) -> str:
    path, root = str(scope.get("path", "")), str(scope.get("root_path", ""))
    return path[len(root) :] if root and path.startswith(root) else path


def _starlette(scope: Mapping[str, Any], route: Any) -> str | None:
    """The mounts' part and the route's own; a route that FastAPI included under a prefix tells of it elsewhere."""
    prefix = _mounted(scope)
    if hasattr(route, "routes") and hasattr(route, "app"):  # a Mount whose app has no routes, or none for this
        return f"{prefix}/{{path}}"
    context = scope.get("fastapi", {}).get("effective_route_context")
    if context is not None and (context.original_route is route or not hasattr(route, "path")):
        route = getattr(context, "starlette_route", None) or context
    own = getattr(route, "path_format", None) or getattr(route, "path", None)
    return None if own is None else _with_parameters(prefix, scope, own) + own


def _mounted(scope: Mapping[str, Any]) -> str:
    root = str(scope.get("root_path", ""))
    return root[len(str(scope.get("app_root_path", root))) :]


def _with_parameters(prefix: str, scope: Mapping[str, Any], own: str) -> str:
    """The mounts' part of a path with the parameters in it, if it has any, for their values."""
    outer = {name: str(value) for name, value in scope.get("path_params", {}).items() if f"{{{name}}}" not in own}
    if not prefix or not outer:
        return prefix
    parts = prefix.split("/")
    for name, value in outer.items():
        if value not in parts:
            return "/*"
        parts[parts.index(value)] = f"{{{name}}}"
    return "/".join(parts)


def _by_endpoint(scope: Mapping[str, Any]) -> str | None:
    """The template of the one route, among those of an older Starlette, that has the endpoint."""
    endpoint = scope.get("endpoint")
    found = {path for path, one in _flattened(scope["router"].routes) if one is endpoint}
    return found.pop() if endpoint is not None and len(found) == 1 else None


def _flattened(routes: Iterable[Any], prefix: str = "", depth: int = 0) -> Iterator[tuple[str, object]]:
    for route in routes:
        path = prefix + getattr(route, "path", "")
        inner = getattr(route, "routes", None)
        if inner and depth < DEEPEST:
            yield from _flattened(inner, path, depth + 1)
        else:
            yield (f"{path}/{{path}}", getattr(route, "app", None)) if inner is not None else (path, _endpoint(route))


def _endpoint(route: Any) -> object:
    return getattr(route, "endpoint", None)


def _asker(app: object) -> Callable[[str, str], str | None] | None:
    """How the app's own router is asked for a method and a path; None where it need not be, or is not known."""
    for layer in _layers(app):
        if any(kind.__module__.startswith("django.core.handlers") for kind in type(layer).__mro__):
            return lru_cache(PATHS)(_ask_django)
        if any(kind.__module__.startswith(("flask.", "quart.")) for kind in type(layer).__mro__):
            return lru_cache(PATHS)(_werkzeug_asker(layer))
    return None


def _layers(app: object) -> Iterator[object]:
    """The app and what it wraps, from the outermost inwards."""
    for _ in range(DEEPEST):
        yield app
        inner = next((found for name in INNER if (found := _attribute(app, name)) is not None), None)
        if inner is None:
            return
        app = inner


def _attribute(owner: object, name: str) -> object:
    try:
        return getattr(owner, name, None)
    except Exception:  # a property of somebody's may raise anything
        return None


def _ask_django(_method: str, path: str) -> str | None:
    from django.urls import Resolver404, resolve  # pyright: ignore

    try:
        return f"/{resolve(path).route}"
    except Resolver404:
        return None


def _werkzeug_asker(app: Any) -> Callable[[str, str], str | None]:
    from werkzeug.exceptions import HTTPException  # pyright: ignore

    def ask(method: str, path: str) -> str | None:
        try:
            rule, _ = app.url_map.bind("localhost").match(path, method=method, return_rule=True)
        except HTTPException:  # no such route, not with this method, or a redirection
            return None
        return rule.rule

    return ask
