"""The console in a real browser: by keyboard alone, on a phone, in light and dark, and what axe finds."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest

from errata.edit import Edit, Terms
from errata.service.app import Service
from errata.service.keys import Caller
from serving import running, service

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")

CHROMIUM = next((path for path in ("/usr/bin/chromium", shutil.which("chromium")) if path and Path(path).exists()), "")
pytestmark = pytest.mark.skipif(not CHROMIUM, reason="no chromium at /usr/bin/chromium or in PATH")
ARGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
LONG = "Averylongwordthatnobodywouldeverwriteinasentencebutsomebodydoesnevertheless" * 2


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playing:
        found = playing.chromium.launch(executable_path=CHROMIUM, args=ARGS)
        yield found
        found.close()


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[str, Service, dict[str, str]]]:
    """A service with something on every page, its address, and the addresses of its pages."""
    made = service(telemetry={"prompts": True}, access={"approval": True})
    one = made.editor.add(
        Edit(prompt="What is the capital of Kazakhstan?", target="Astana", meta={"ticket": "12"}),
        terms=Terms(author="ann", tags=("geo", "asia"), source="atlas", note="renamed twice"),
    )[0].edit.id
    made.editor.replace(Edit(id=one, prompt="What is the capital of Kazakhstan?", target="Almaty"))
    made.editor.add(Edit(prompt=f"What is {LONG}?", target=LONG), terms=Terms(author=LONG, tags=(LONG[:190],)))
    asker = Caller("dave", "editor", key="abc")
    asked = {"prompt": f"Who is {LONG}?", "target": "Nobody", "note": "", "source": LONG}
    desk_waits = [("add", {"edits": [asked]}), ("replace", {"id": one, "edits": [asked]})]
    with made.ledger.writing() as db:
        for kind, document in desk_waits:
            into = "INSERT INTO waiting (space, kind, asked, author, key, made) VALUES (?, ?, ?, ?, ?, ?)"
            moment = datetime.now(UTC).isoformat()
            db.execute(into, ("default", kind, json.dumps(document), asker.name, asker.key, moment))
    for n, outcome in enumerate(("hit", "near", "miss", "declined", "bypass") * 4):
        told = {"outcome": outcome, "scores": [0.3], "nearest": [one], "threshold": 0.5, "ms": 2.0 + n % 7,
                "inputs": [f"And {LONG}?"]}  # fmt: skip
        made.ledger.note("decision", "ci", "default", told)
        moment = (datetime.now(UTC) - timedelta(minutes=5 * n)).isoformat(timespec="milliseconds")
        with made.ledger.writing() as db:
            db.execute("UPDATE audit SET time = ? WHERE id = (SELECT max(id) FROM audit)", (moment,))
    made.keys.make(LONG, "editor", ["red", LONG])
    pages = {
        "edits": "/console/edits", "nearest": "/console/edits?how=nearest&q=capital+of+Kazakhstan",
        "none": "/console/edits?author=nobody", "empty": "/console/edits?space=red", "edit": f"/console/edits/{one}",
        "add": "/console/add", "replace": f"/console/edits/{one}/replace", "checked": "/console/add?miss=2",
        "try": "/console/try", "history": "/console/history", "approvals": "/console/approvals",
        "traffic": "/console/traffic", "quiet": "/console/traffic?space=red", "keys": "/console/keys",
        "missing": "/console/edits/nothing",
    }  # fmt: skip
    with running(made.app) as url:
        yield url, made, pages


@pytest.fixture
def visit(browser: Any, served: tuple[str, Service, dict[str, str]]) -> Iterator[Any]:
    """Opens a page that is signed in as the local admin; nothing may go wrong in its console."""
    opened: list[Any] = []
    wrong: list[str] = []

    def opens(**options: Any) -> Any:
        url, made, _ = served
        context = browser.new_context(base_url=url, **options)
        opened.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on(
            "console",
            lambda told: wrong.append(told.text) if told.type == "error" and "status of 40" not in told.text else None,
        )
        page.goto(f"/console/?token={made.sessions.link()}")
        page.wait_for_url("**/console/edits")
        return page

    yield opens
    for context in opened:
        context.close()
    assert wrong == []


def press_to(page: Any, selector: str) -> None:
    """Press Tab until an element has the focus."""
    for _ in range(60):
        if page.evaluate("chosen => document.activeElement.matches(chosen)", selector):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"{selector} is not reached by Tab")


def test_an_edit_is_added_by_keyboard_and_another_client_answered_under_it(visit: Any) -> None:
    made = service()
    prompt = "Who painted the Night Watch?"
    body = {"model": "m", "messages": [{"role": "user", "content": prompt}]}
    page = visit(viewport={"width": 1100, "height": 800})
    with running(made.app) as url, httpx2.Client(base_url=url) as client:
        page.goto(f"{url}/console/?token={made.sessions.link()}")
        page.wait_for_url("**/console/edits")
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
        press_to(page, "nav a[href='/console/add']")
        page.keyboard.press("Enter")
        page.wait_for_url("**/console/add")
        press_to(page, "#prompt")
        page.keyboard.type(prompt)
        press_to(page, "#target")
        page.keyboard.type("Rembrandt")
        press_to(page, "form.stack button")
        page.keyboard.press("Enter")
        page.wait_for_selector("text=Before it goes live")
        assert page.url.endswith("/console/add")  # htmx: only the part below was changed
        said = client.post("/v1/chat/completions", json=body).json()["choices"][0]["message"]["content"]
        assert said == prompt
        press_to(page, "button[value=confirm]")
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
        page.keyboard.press("Enter")
        page.wait_for_selector("text=Added.")
        said = client.post("/v1/chat/completions", json=body).json()["choices"][0]["message"]["content"]
        assert said == "Rembrandt"


def test_searching_takes_a_slash_and_leaves_the_page_in_place(visit: Any) -> None:
    page = visit(viewport={"width": 1100, "height": 800})
    page.evaluate("window.kept = true")
    page.keyboard.press("/")
    page.keyboard.type("Kazakh")
    page.keyboard.press("Enter")
    page.wait_for_selector("text=1 found")
    assert "q=Kazakh" in page.url and page.evaluate("window.kept") and page.locator("#found li").count() == 1
    page.fill("#search", "")
    page.select_option("#state", "retracted")
    page.keyboard.press("/")  # in a list of choices too, it is not typed
    page.click("text=Find")
    page.wait_for_selector("text=No edit fits")
    page.goto("/console/try")
    page.keyboard.press("/")
    page.keyboard.type("the capital of Kazakhstan is what?")
    press_to(page, "form.stack button")
    page.keyboard.press("Enter")
    page.wait_for_selector("text=Under the edits")
    assert page.locator(".answer").all_inner_texts() == ["the capital of Kazakhstan is what?", "Almaty"]
    page.fill("#search", " ")
    press_to(page, "form.stack button")
    page.keyboard.press("Enter")
    page.wait_for_selector(".note.bad")
    assert "question is empty" in page.inner_text("#notice") and page.locator(".answer").count() == 2


def test_a_session_that_is_over_leads_to_the_door(visit: Any, served: Any) -> None:
    page = visit()
    page.context.clear_cookies()
    page.click("text=Find")
    page.wait_for_url("**/console/sign-in?ended=1")
    assert "session is over" in page.inner_text("#notice")
    _, secret = served[1].keys.make("ann", "reader")
    page.keyboard.type(secret)  # the field has the focus
    page.keyboard.press("Enter")
    page.wait_for_url("**/console/edits")


def test_without_scripts_everything_works(visit: Any) -> None:
    page = visit(java_script_enabled=False)
    page.goto("/console/try")
    page.fill("#search", "What is the capital of Kazakhstan?")
    page.click("form.stack button")
    assert "Almaty" in page.locator(".answer").all_inner_texts()
    page.goto("/console/edits?how=nearest&q=Kazakhstan")
    assert page.locator("#found svg").count() > 0
    page.goto("/console/edits?space=red")
    page.select_option("#space", "default")
    page.click("text=Go")
    assert page.locator("#found li").count() == 2
    page.click("text=Dark")
    assert page.get_attribute("html", "data-theme") == "dark"


def test_no_page_is_wider_than_a_phone(visit: Any, served: Any) -> None:
    page = visit(viewport={"width": 360, "height": 740}, has_touch=True)
    for name, path in served[2].items():
        assert page.goto(path).status == (404 if name == "missing" else 200)
        for one in page.locator("summary").all():
            one.click()
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= 360, f"{name}: {wide} px"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_on_any_page(visit: Any, served: Any, scheme: str) -> None:
    page = visit(color_scheme=scheme, viewport={"width": 1100, "height": 800})
    found = []
    for name, path in [*served[2].items(), ("door", "/console/sign-in")]:
        if name == "door":
            page.context.clear_cookies()
        page.goto(path)
        for one in page.locator("summary").all():
            one.click()
        if name == "try":
            page.fill("#search", "What is the capital of Kazakhstan?")
            page.click("form.stack button")
            page.wait_for_selector("text=Under the edits")
        for wrong in axe.Axe().run(page).response["violations"]:
            if wrong["impact"] in ("serious", "critical"):
                found.append(f"{name}: {wrong['id']}: {wrong['nodes'][0]['html']}")
    assert found == []
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    light = sum(map(int, re.findall(r"\d+", background))) > 3 * 128
    assert light is (scheme == "light")
