"""A Flask app, recorded by one line; run it with `gunicorn --workers 2 shop:app`."""

from flask import Flask

import taba.wsgi

app = Flask(__name__)
app.wsgi_app = taba.wsgi.Middleware(app.wsgi_app)


@app.get("/")
def home() -> str:
    """The page at the root."""
    return "shop"


@app.get("/users/<int:number>")
def user(number: int) -> str:
    """One page for all users, and one tab for all of them."""
    return f"hello {number}"
