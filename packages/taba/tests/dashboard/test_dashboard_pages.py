"""The pages of clients, of one client, of the ledger and of the noisiest, as they are seen."""

import pytest
from fleet import fill
from server_process import ServerProcess

PLACES = {
    "clients": "#/clients",
    "client": "#/clients/web-2",
    "ledger": "#/ledger",
    "noisiest": "#/noisiest",
}
READY = {
    "clients": "td a",
    "client": ".equation",
    "ledger": "td a",
    "noisiest": "td a",
}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = ServerProcess(tmp_path_factory.mktemp("pages"), gather_ms=2)
    fill(server)
    yield server
    server.close()


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_each_page_can_be_read_by_everybody(look, dark):
    """Axe has nothing to complain about, by day and by night; the pictures are looked at."""
    seen = look(dark=dark)
    seen.open("#/clients")
    for name, place in PLACES.items():
        seen.go(place).wait_for_selector(READY[name])
        seen.page.wait_for_timeout(1500)
        seen.picture(f"{name}-{'dark' if dark else 'light'}")
        seen.check_accessible()


def test_each_page_fits_a_phone(look):
    """No page is wider than a phone."""
    seen = look(phone=True)
    seen.open("#/clients")
    for name, place in PLACES.items():
        seen.go(place).wait_for_selector(READY[name])
        seen.picture(f"{name}-phone")
        seen.check_width()
