"""In a real notebook kernel: answers show themselves, watching works beside the kernel's own event loop."""

import nbformat
import pytest
from nbclient import NotebookClient

CELLS = [
    "from taba.query import AsyncClient, Client\nclient = Client({url!r})",
    "client.aggregates(['orders', 'request.ms', 'pages'], window='1h')",
    "client.series('request.ms', from_={begun}, to={begun} + 60, step='10s')",
    "client.aggregates('orders', window='1h').to_polars()",
    "client.aggregates('orders', window='1h').to_pandas()",
    "for answer in client.watch('orders', window='1h', timeout=30):\n    print(sorted(answer))\n    break",
    "async with AsyncClient({url!r}) as other:\n"
    "    async for answer in other.watch('orders', window='1h', timeout=30):\n"
    "        print(answer['orders{{shop=paris}}']['1h'].total)\n"
    "        break",
    "client.aggregates('orders', window='7x')",
]


@pytest.fixture(scope="module")
def outputs(recorded, begun):
    """What each cell shows."""
    notebook = nbformat.v4.new_notebook()
    notebook.cells = [nbformat.v4.new_code_cell(cell.format(url=recorded.url, begun=begun)) for cell in CELLS]
    NotebookClient(notebook, timeout=250, kernel_name="python3", allow_errors=True).execute()
    return [cell.outputs for cell in notebook.cells]


def html(output) -> str:
    (shown,) = output
    return shown["data"]["text/html"]


def test_answers_show_themselves(outputs):
    """A table, and a picture of a series, each with until when it is complete and of how many clients."""
    assert "request.ms" in html(outputs[1])
    assert "<table" in html(outputs[1])
    assert "of 3 clients" in html(outputs[1])
    assert "<svg" in html(outputs[2])
    assert "polygon" in html(outputs[2])
    assert "of 3 clients" in html(outputs[2])
    assert "datetime" in html(outputs[3]) or "tab" in html(outputs[3])
    assert "tab" in html(outputs[4])


def test_watching_within_a_kernel(outputs):
    """Both ways, although the kernel runs an event loop of its own."""
    assert outputs[5][0]["text"] == "['orders{shop=berlin}', 'orders{shop=paris}']\n"
    assert outputs[6][0]["text"] == "15.0\n"


def test_an_error_is_one_line(outputs):
    """The last line of the traceback says what is wrong, and there is no chain of others above it."""
    (shown,) = outputs[7]
    assert (shown["ename"], shown["evalue"]) == (
        "QueryError",
        "window: '7x' is not a duration: write it as 90s, 10m, 1h or 1d",
    )
    assert "During handling" not in "".join(shown["traceback"])
