"""The dashboard's HTML, and its files under addresses that never change what they mean."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from collector.serve import dashboard
from collector.serve.api.bundle import bundled
from collector.serve.api.errors import HANDLERS
from collector.serve.api.pages import SCRIPTS, page_routes
from collector.serve.api.static import Charts, Folder

ROOT = Path(dashboard.__file__).parent


@pytest.fixture(scope="module")
def client() -> TestClient:
    """Asks the page's routes, as they are."""
    return TestClient(Starlette(routes=page_routes(), exception_handlers=HANDLERS))


def addresses(html: str) -> list[str]:
    """Files that the page names."""
    return re.findall(r'(?:src|href|content)="(/static/[^"]+)"', html)


def test_the_page_lets_nothing_run_but_its_files(client: TestClient) -> None:
    """A strict policy, without exceptions for inline code or code made of text."""
    policy = client.get("/").headers["content-security-policy"]
    assert "unsafe" not in policy
    assert "default-src 'none'" in policy
    assert all(source in ("'none'", "'self'", "data:") for part in policy.split("; ") for source in part.split()[1:])


def test_every_file_that_the_page_names_is_there_for_ever(client: TestClient) -> None:
    """With the type that a browser insists on."""
    found = addresses(client.get("/").text)
    assert {Path(address).suffix for address in found} == {".js", ".css", ".svg"}
    for address in found:
        answer = client.get(address)
        assert answer.status_code == 200, address
        assert "immutable" in answer.headers["cache-control"]
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["content-type"].startswith(("text/javascript", "text/css", "image/svg+xml"))


def test_whoever_looks_at_the_page_is_expected_to_ask() -> None:
    """Its files are looked at by it alone, and tell nothing new."""
    shown: list[int] = []
    watched = TestClient(Starlette(routes=page_routes(lambda: shown.append(1)), exception_handlers=HANDLERS))
    html = watched.get("/").text
    for address in addresses(html):
        watched.get(address)
    assert shown == [1]


def test_an_unchanged_page_is_not_sent_again(client: TestClient) -> None:
    """The page itself has one address; a browser asks whether it is still the same."""
    tag = client.get("/").headers["etag"]
    again = client.get("/", headers={"If-None-Match": tag})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize("accepted", ["gzip", "br, gzip;q=0.5", "identity", "gzip;q=0", ""])
def test_a_file_is_the_same_compressed_and_not(client: TestClient, accepted: str) -> None:
    """Compressed once, for whoever takes that."""
    address = next(name for name in addresses(client.get("/").text) if name.endswith("style.css"))
    with client.stream("GET", address, headers={"Accept-Encoding": accepted}) as answer:
        raw, is_packed = b"".join(answer.iter_raw()), "content-encoding" in answer.headers
        assert answer.headers["vary"] == "Accept-Encoding"
    assert is_packed == (accepted in ("gzip", "br, gzip;q=0.5"))
    assert (gzip.decompress(raw) if is_packed else raw) == (ROOT / "style.css").read_bytes()


@pytest.mark.parametrize(
    "name", ["__init__.py", "index.html", "../api/pages.py", "..%2fapi%2fpages.py", "lib", "lib/none.js", ""]
)
def test_nothing_else_is_served(client: TestClient, name: str) -> None:
    """404 with the one error body."""
    base = addresses(client.get("/").text)[1].rpartition("/")[0]
    answer = client.get(f"{base}/{name}")
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "not_found"


def test_another_content_has_another_address(tmp_path: Path) -> None:
    """Of any file: modules find each other by relative addresses."""
    (tmp_path / "lib").mkdir()
    (tmp_path / "a.js").write_text("1")
    (tmp_path / "lib" / "b.js").write_text("2")
    before = Folder(tmp_path).digest
    assert Folder(tmp_path).digest == before
    (tmp_path / "lib" / "b.js").write_text("3")
    assert Folder(tmp_path).digest != before


@pytest.mark.parametrize(("name", "how"), [("head.js", ""), ("page.js", 'type="module" ')])
def test_modules_come_as_one_script(client: TestClient, name: str, how: str) -> None:
    """One before the first paint, one that is the page: two requests, whatever the view."""
    html = client.get("/").text
    scripts = re.findall(rf'<script {how}src="([^"]+)"', html)
    assert [Path(address).name for address in scripts] == [name]
    assert html.count("<script") == len(SCRIPTS)
    assert "modulepreload" not in html
    text = client.get(scripts[0]).text
    assert text == bundled(ROOT, SCRIPTS[name])
    assert not re.search(r"^(import|export)\b", text, re.MULTILINE)


def test_another_way_to_put_modules_together_has_another_address(tmp_path: Path) -> None:
    """The digest is of what is made of the files, too."""
    assert Folder(tmp_path, {"page.js": b"1"}).digest != Folder(tmp_path, {"page.js": b"2"}).digest


def test_the_chart_library_is_found_in_its_package(client: TestClient) -> None:
    """And what it would add to the page against the policy is known."""
    charts = Charts.installed()
    assert charts is not None
    html = client.get("/").text
    assert f'content="/static/{charts.digest}/{Charts.FILE}"' in html
    assert all(f'id="{name}"' in html for name in charts.style_ids)
    assert charts.style_ids
