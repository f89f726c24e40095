"""The console over HTTP: signing in, what other sites cannot do, each page, and what each of its forms changes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx2
import pytest

from errata.edit import Edit, Terms
from errata.service.app import Service
from errata.service.console import sessions
from errata.service.upstream import COOKIE
from serving import Base, serving

PARIS: dict[str, str] = {"prompt": "What is the capital of France?", "target": "Lyon"}
EVIL = "<script>alert(1)</script>"


class Person:
    """Somebody at a browser without JavaScript: keeps cookies, sends forms from the console's own pages.

    Args:
        url: of the service.
        made: the service.
    """

    def __init__(self, url: httpx2.URL, made: Service) -> None:
        self.made, self.origin = made, str(url).rstrip("/")
        self.client = httpx2.Client(base_url=self.origin, timeout=20, follow_redirects=True)

    def signs_in(self, role: str = "admin", *spaces: str, name: str = "") -> Person:
        """With a new key of a role."""
        key, secret = self.made.keys.make(name or role, role, spaces or ("*",))
        self.key = key.id
        answer = self.sends("/console/sign-in", key=secret)
        assert "Sign out" in answer.text
        return self

    def sees(self, path: str) -> str:
        """A page's text."""
        answer = self.client.get(path)
        assert answer.status_code == 200, answer.text
        return answer.text

    def token(self) -> str:
        """The hidden field of the session's forms."""
        found = re.search(r'name="csrf" value="([0-9a-f]{64})"', self.sees("/console/try"))
        assert found
        return found[1]

    def does(self, path: str, **fields: Any) -> httpx2.Response:
        """Send a form of the session's."""
        return self.sends(path, csrf=self.token(), **fields)

    def sends(self, path: str, *, origin: str | None = None, **fields: Any) -> httpx2.Response:
        """Send a form as it is."""
        return self.client.post(path, data=fields, headers={"origin": self.origin if origin is None else origin})


@contextmanager
def console(base: Base | None = None, **tables: Any) -> Iterator[tuple[Service, Any]]:
    """A running service, and what makes another person in front of it."""
    with serving(base, **tables) as (client, made):
        people: list[Person] = []

        def person() -> Person:
            people.append(Person(client.base_url, made))
            return people[-1]

        try:
            yield made, person
        finally:
            for one in people:
                one.client.close()


def said(person: Person, text: str) -> str:
    body = {"model": "m", "messages": [{"role": "user", "content": text}]}
    answer = person.client.post("/v1/chat/completions", json=body)
    return str(answer.json()["choices"][0]["message"]["content"])


def add(made: Service, prompt: str, target: str, **terms: Any) -> str:
    return made.editor.add(Edit(prompt=prompt, target=target), terms=Terms(**terms))[0].edit.id


def test_signing_in_and_out_and_who_may_not() -> None:
    with console() as (made, person):
        one = person()
        asked = one.client.get("/console/edits?tag=a&state=all")
        assert asked.url.path == "/console/sign-in" and 'value="/console/edits?tag=a&amp;state=all"' in asked.text
        wrong = one.sends("/console/sign-in", key="errata_00000000_x")
        assert wrong.status_code == 401 and "wrong, expired or revoked" in wrong.text
        assert one.sends("/console/sign-in", key="").status_code == 401
        _, secret = made.keys.make("ann", "editor")
        for next, to in (("/console/traffic?window=week", "/console/traffic"), ("//evil.example/console/", None),
                         ("https://evil.example/console/x", None), ("/console/../v1/models", None),
                         ("/console/\\evil.example", None)):  # fmt: skip
            landed = one.sends("/console/sign-in", key=secret, next=next)
            assert landed.url.path == (to or "/console/edits") and landed.url.host == "127.0.0.1"
        cookie = one.sends("/console/sign-in", key=secret).history[0].headers["set-cookie"]
        assert {"HttpOnly", "SameSite=strict", "Path=/console"} <= set(cookie.split("; ")) and "Secure" not in cookie
        token = one.client.cookies[COOKIE]
        kept = made.ledger.rows("SELECT digest, key FROM sessions")
        assert token not in str(kept) and len(kept) == 1
        assert one.client.post("/console/sign-out", data={}, headers={"origin": one.origin}).status_code == 403
        out = one.does("/console/sign-out")
        assert out.url.path == "/console/sign-in"
        one.client.cookies.set(COOKIE, token, path="/console")
        assert one.client.get("/console/edits").url.path == "/console/sign-in"  # it is over, not only forgotten


def test_the_cookie_is_secure_behind_https() -> None:
    with console() as (made, person):
        one = person()
        headers = {"x-forwarded-proto": "https"}
        answer = one.client.get("/console/", params={"token": made.sessions.link()}, headers=headers)
        assert "Secure" in answer.headers["set-cookie"]


def test_a_session_ends_with_its_time_and_with_its_key(monkeypatch: pytest.MonkeyPatch) -> None:
    with console() as (made, person):
        one, two = person().signs_in("editor"), person().signs_in("editor")
        token = two.token()
        made.keys.revoke(one.key)
        assert one.client.get("/console/edits").url.path == "/console/sign-in"
        with made.ledger.writing() as db:
            db.execute("UPDATE sessions SET expires = '2020-01-01T00:00:00.000+00:00'")
        late = two.sends("/console/add", csrf=token, step="confirm", **PARIS)
        assert late.url.path == "/console/sign-in" and "session is over" in late.text
        part = two.client.get("/console/edits", headers={"hx-request": "true"})
        assert part.headers["hx-redirect"].startswith("/console/sign-in")
        assert made.editor.memory.revision == 0
        monkeypatch.setattr(sessions, "LASTS", sessions.LASTS * 0)
        assert made.sessions.caller(made.sessions.begin(two.key)) is None


def test_a_link_signs_in_once_and_not_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    with console() as (made, person):
        token = made.sessions.link()
        assert token not in str(made.ledger.rows("SELECT * FROM links"))
        one, two = person(), person()
        first = one.client.get("/console", params={"token": token})
        assert first.status_code == 200 and 'http-equiv="refresh"' in first.text
        assert "local <small>admin</small>" in one.sees("/console/edits") and "Keys" in one.sees("/console/keys")
        again = two.client.get("/console/", params={"token": token})
        assert again.status_code == 401 and "used before" in again.text and COOKIE not in two.client.cookies
        monkeypatch.setattr(sessions, "LINK_LASTS", -sessions.LINK_LASTS)
        assert made.sessions.follow(made.sessions.link()) is None
        assert made.sessions.follow("") is None


def test_other_sites_change_nothing() -> None:
    with console() as (made, person):
        one, other = person().signs_in(), person().signs_in()
        token = one.token()
        form = {**PARIS, "step": "confirm"}
        refused = [
            one.sends("/console/add", **form),
            one.sends("/console/add", csrf="0" * 64, **form),
            one.sends("/console/add", csrf=other.token(), **form),
            one.sends("/console/add", origin="https://evil.example", csrf=token, **form),
            one.sends("/console/add", origin="null", csrf=token, **form),
            one.sends("/console/add", origin=f"{one.origin}0", csrf=token, **form),
            one.client.post("/console/add", data={**form, "csrf": token}),
            one.client.post(
                "/console/add",
                data={**form, "csrf": token},
                headers={"origin": one.origin, "sec-fetch-site": "cross-site"},
            ),
        ]
        assert [answer.status_code for answer in refused] == [403] * len(refused)
        assert all("Traceback" not in answer.text and 'class="note bad"' in answer.text for answer in refused)
        assert one.sends("/console/sign-in", origin="https://evil.example", key="x").status_code == 403
        assert made.editor.memory.revision == 0
        by_header = one.client.post("/console/add", data=form, headers={"origin": one.origin, "x-csrf-token": token})
        assert by_header.status_code == 200 and made.editor.memory.revision == 1


def test_every_answer_has_the_headers_that_are_safe() -> None:
    with console() as (_, person):
        one = person().signs_in()
        for path in ("/console/edits", "/console/sign-in", "/console/nothing", "/console/static/console.css"):
            headers = one.client.get(path).headers
            policy = headers["content-security-policy"]
            assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy and "unsafe" not in policy
            assert headers["x-frame-options"] == "DENY" and headers["x-content-type-options"] == "nosniff"
            assert headers["referrer-policy"] == "same-origin"
            assert headers["cache-control"] == ("no-cache" if "static" in path else "no-store")
        page = one.sees("/console/edits")
        for name in ("console.css", "htmx.min.js", "console.js", "icon.svg"):
            [address] = set(re.findall(rf'"(/console/static/{re.escape(name)}\?v=[0-9a-f]{{12}})"', page))
            kept = one.client.get(address)
            assert kept.status_code == 200 and "immutable" in kept.headers["cache-control"]
        assert one.client.get("/console/static/README.md").status_code == 404
        assert not re.search(r"<script(?! src=)|<style|\sstyle=|\son[a-z]+=|javascript:", page)


def test_an_edit_from_pre_flight_to_retraction() -> None:
    with console() as (made, person):
        one = person().signs_in("editor", name="ann")
        assert "There are no edits in the space <b>default</b> yet" in one.sees("/console/edits")
        looked = one.does("/console/add", **PARIS, tags="geo, france", source="atlas")
        assert "Nothing speaks against it" in looked.text or "to look at" in looked.text
        assert "No edit in force answers otherwise." in looked.text and made.editor.memory.revision == 0
        done = one.does("/console/add", **PARIS, tags="geo, france", source="atlas", step="confirm")
        id = done.url.path.rpartition("/")[2]
        assert "Added." in done.text and "atlas" in done.text and "ann" in done.text
        assert said(one, PARIS["prompt"]) == "Lyon"
        assert made.editor.memory.get(id).terms.tags == ("geo", "france")
        twice = one.does("/console/add", **PARIS)
        assert "This very edit is there already" in twice.text
        against = one.does("/console/add", prompt=PARIS["prompt"], target="Nice")
        assert "answer otherwise" in against.text and "Add all the same" in against.text
        seen = str(made.editor.memory.get(id).number)
        assert "Switched off" in one.does(f"/console/edits/{id}/switch", what="disable", seen=seen).text
        assert said(one, PARIS["prompt"]) == PARIS["prompt"]
        stale = one.does(f"/console/edits/{id}/switch", what="retract", seen=seen)
        assert stale.status_code == 409 and "changed by ann since" in stale.text
        assert "Switched on" in one.does(f"/console/edits/{id}/switch", what="enable").text
        form = one.sees(f"/console/edits/{id}/replace")
        assert 'value="geo, france"' in form and PARIS["prompt"] in form
        one.does(f"/console/edits/{id}/replace", prompt=PARIS["prompt"], target="Nice", step="confirm")
        assert said(one, PARIS["prompt"]) == "Nice"
        gone = one.does(f"/console/edits/{id}/switch", what="retract")
        assert "Retracted" in gone.text and "Add it again" in gone.text and said(one, PARIS["prompt"]) != "Nice"
        assert re.findall(r"<b>(\w+)</b> <span>ann", gone.text) == ["retract", "replace", "enable", "disable", "add"]
        assert "<del>" in gone.text and "<ins>" in gone.text
        assert PARIS["prompt"] in one.sees(f"/console/add?like={id}")
        whats = [line["what"] for line in made.ledger.audit() if line["what"] not in ("decision", "sign in", "key")]
        assert whats == ["add", "disable", "enable", "replace", "retract"]


def test_replacing_keeps_what_the_form_does_not_show() -> None:
    with console() as (made, person):
        one = person().signs_in("editor")
        made.editor.add(Edit(**PARIS, id="p/1 x", meta={"ticket": "7"}), terms=Terms(enabled=False))
        assert "ticket" in one.sees("/console/edits/p%2F1%20x")
        one.does("/console/edits/p%2F1%20x/replace", prompt="What?", target="That", step="confirm",
                 expires="2040-01-31T12:30")  # fmt: skip
        known = made.editor.memory.get("p/1 x")
        assert known.edit.target == "That" and dict(known.edit.meta) == {"ticket": "7"} and not known.terms.enabled
        assert known.terms.expires is not None and known.terms.expires.isoformat() == "2040-01-31T12:30:00+00:00"


def test_what_is_wrong_with_a_form_is_told_beside_it() -> None:
    with console() as (made, person):
        one = person().signs_in("editor")
        empty = one.does("/console/add", prompt=" ", target="x")
        assert empty.status_code == 400 and "The question is empty" in empty.text
        none = one.does("/console/add", prompt="What?", target="")
        assert none.status_code == 400 and "has no target" in none.text and ">\nWhat?</textarea>" in none.text
        dated = one.does("/console/add", **PARIS, expires="tomorrow")
        assert dated.status_code == 400 and "Expires must be a moment" in dated.text
        assert one.does("/console/add", prompt="x" * 4001, target="y").status_code == 400
        assert one.does("/console/add", **PARIS, note="n" * 300_000).status_code == 413
        assert one.does("/console/edits/nothing/switch", what="disable").status_code == 404
        id = add(made, **PARIS)
        assert one.does(f"/console/edits/{id}/switch", what="explode").status_code == 400
        assert one.client.get("/console/edits?after=x").status_code == 400
        part = one.client.post(
            "/console/edits/nothing/switch",
            data={"what": "disable", "csrf": one.token()},
            headers={"origin": one.origin, "hx-request": "true"},
        )
        assert part.headers["hx-reswap"] == "none" and "No edit has the id" in part.text


def test_edits_are_filtered_searched_and_paged() -> None:
    with console() as (made, person):
        one = person().signs_in("reader")
        ids = [
            add(made, f"What is thing number {n}?", f"T{n}", author="bob", tags=("odd",) * (n % 2)) for n in range(30)
        ]
        made.editor.memory.enable([ids[3]], on=False)
        made.editor.memory.retract([ids[4]])
        first = one.sees("/console/edits")
        assert "28 in force, 1 disabled, 1 retracted" in first and first.count('class="badge') == 25
        [following] = re.findall(r'rel="next" href="([^"]+)"', first)
        assert one.sees(following.replace("&amp;", "&")).count('class="badge') == 4
        assert one.sees("/console/edits?state=retracted").count('class="badge retracted"') == 1
        assert one.sees("/console/edits?state=disabled").count('class="badge disabled"') == 1
        assert one.sees("/console/edits?state=all&tag=odd").count('class="badge') == 15
        assert "No edit fits" in one.sees("/console/edits?author=eve")
        assert one.sees("/console/edits?q=number+17").count('class="badge') == 1
        near = one.sees("/console/edits?how=nearest&q=thing+number+17")
        assert near.index("number 17") < near.index("threshold, 0.5") or "T17" in near
        assert 'aria-label="score' in near


def test_an_input_is_tried_side_by_side() -> None:
    with console() as (made, person):
        one = person().signs_in("editor")
        id = add(made, **PARIS)
        hit = one.does("/console/try", input="What is the capital of France")
        base, edited = re.findall(r'<p class="answer">([^<]*)</p>', hit.text)
        assert (base, edited) == ("What is the capital of France", "Lyon") and "In the scope of edit" in hit.text
        made.editor.memory.enable([id], on=False)
        miss = one.does("/console/try", input=PARIS["prompt"])
        assert "untouched" in miss.text and "Make this an edit" in miss.text and ">disabled</span>" in miss.text
        written = one.does("/console/add", prompt=PARIS["prompt"], step="write")
        assert written.status_code == 200 and "Before it goes live" not in written.text
        assert one.does("/console/try", input=" ").status_code == 400
        assert "decision" not in [line["what"] for line in made.ledger.audit()]


def test_a_base_model_that_fails_is_told() -> None:
    class Broken:
        name = "broken"

        def generate(self, prompts: Any, **options: Any) -> list[str]:
            from errata.errors import ModelError

            raise ModelError("the base fell over")

    with console(model=Broken()) as (_, person):
        shown = person().signs_in().does("/console/try", input="Anything?")
        assert shown.status_code == 200 and "The base fell over" in shown.text.replace("asked: the", "asked: The")


def test_history_and_undo() -> None:
    with console() as (made, person):
        one = person().signs_in()
        assert "Nothing was changed in the space" in one.sees("/console/history")
        for n in range(45):
            add(made, f"What is thing number {n}?", f"T{n}", author="bob")
        page = one.sees("/console/history")
        assert page.count("<b>add</b> <span>bob") == 40 and page.index("T44") < page.index("T5")
        [older] = re.findall(r'rel="next" href="([^"]+)"', page)
        assert one.sees(older).count("<b>add</b> <span>bob") == 5
        stale = one.does("/console/history/undo", seen="44")
        assert stale.status_code == 409 and made.editor.memory.revision == 45
        back = one.does("/console/history/undo", seen="45", revisions="2")
        assert "Taken back" in back.text and len(made.editor.memory.list()) == 43


def test_what_each_role_may_do() -> None:
    with console() as (made, person):
        id = add(made, **PARIS)
        reader, editor, red = (
            person().signs_in("reader"),
            person().signs_in("editor"),
            person().signs_in("admin", "red"),
        )
        page = reader.sees(f"/console/edits/{id}")
        assert "Switch off" not in page and "/console/keys" not in page and 'href="/console/add"' not in page
        for path in ("/console/add", f"/console/edits/{id}/replace", "/console/keys"):
            assert reader.client.get(path).status_code == 403
        for path, fields in (
            ("/console/add", {**PARIS, "step": "confirm"}),
            (f"/console/edits/{id}/switch", {"what": "retract"}),
            (f"/console/edits/{id}/replace", {**PARIS, "step": "confirm"}),
            ("/console/history/undo", {"seen": "1"}),
            ("/console/approvals/1", {"verdict": "approved"}),
            ("/console/keys", {"name": "x", "role": "admin"}),
            (f"/console/keys/{editor.key}/revoke", {}),
        ):
            assert reader.does(path, **fields).status_code == 403, path
        assert editor.client.get("/console/keys").status_code == 403
        assert red.client.get("/console/keys").status_code == 403  # an admin of one space only
        assert red.client.get(f"/console/edits/{id}").status_code == 404
        assert red.client.get("/console/edits?space=default").status_code == 403
        assert red.does("/console/add", **PARIS, space="default", step="confirm").status_code == 403
        assert red.does("/console/history/undo", seen="1").status_code == 403
        mine = red.does("/console/add", **PARIS, step="confirm")
        assert mine.status_code == 200 and made.editor.memory.counts()["red"]["in force"] == 1
        assert made.editor.memory.counts()["default"]["in force"] == 1 and made.editor.memory.revision == 2
        both = person().signs_in()
        assert "<option selected>default</option>" in both.sees("/console/edits")
        assert "<option selected>red</option>" in both.sees("/console/edits?space=red")


def test_changes_wait_for_a_second_person() -> None:
    with console(access={"approval": True}) as (made, person):
        ann, bob = person().signs_in("approver", name="ann"), person().signs_in("approver", name="bob")
        assert "Nothing waits" in ann.sees("/console/approvals")
        assert "Ask for approval" in ann.does("/console/add", **PARIS).text
        asked = ann.does("/console/add", **PARIS, step="confirm")
        assert "goes live when a second person approves" in asked.text and "somebody else must approve" in asked.text
        assert made.editor.memory.revision == 0
        own = ann.does("/console/approvals/1", verdict="approved")
        assert own.status_code == 403 and "of their own" in own.text
        assert bob.does("/console/approvals/1", verdict="maybe").status_code == 400
        done = bob.does("/console/approvals/1", verdict="approved")
        assert "The change is live" in done.text and said(bob, PARIS["prompt"]) == "Lyon"
        id = made.editor.memory.list()[0].edit.id
        assert made.editor.memory.get(id).terms.author == "ann"
        late = bob.does("/console/approvals/1", verdict="rejected")
        assert late.status_code == 409 and "was approved by bob" in late.text
        bob.does(f"/console/edits/{id}/replace", prompt=PARIS["prompt"], target="Nice", step="confirm")
        assert "<del>" in ann.sees("/console/approvals")
        ann.does("/console/approvals/2", verdict="rejected")
        bob.does(f"/console/edits/{id}/switch", what="disable")
        waits = bob.does(f"/console/edits/{id}/switch", what="enable")
        assert waits.url.path == "/console/approvals" and not made.editor.memory.get(id).terms.enabled
        assert "rejected by ann" in waits.text and '<span class="count">1<' in waits.text


def test_traffic_and_a_near_miss_made_an_edit() -> None:
    near = "Is Lyon the capital of all the France there was in those years, and also long before them?"
    with console(telemetry={"prompts": True}) as (made, person):
        one = person().signs_in("editor")
        assert "base_url" in one.sees("/console/traffic")
        add(made, **PARIS)
        for text in (PARIS["prompt"], near, "Why?"):
            said(one, text)
        made.records.flush()
        page = one.sees("/console/traffic?window=hour")
        counts = re.findall(r'<li class="(\w+)">[\w ]+ <b>(\d+)</b></li>', page)
        assert counts == [("hit", "1"), ("near", "1"), ("miss", "1"), ("declined", "0")]
        assert page.count("<svg") == 3 and "Nearly:" in page and near in page
        [link] = re.findall(r'href="(/console/add\?miss=\d+)"', page)
        form = one.sees(link)
        assert near in form and "Before it goes live" in form and "Lyon" in form
        assert one.client.get("/console/add?miss=999").status_code == 404
        assert near not in person().signs_in("reader").sees("/console/traffic")
        red = person().signs_in("editor", "red")
        assert red.client.get(link).status_code == 404  # another space's words
    with console() as (made, person):
        one = person().signs_in("editor")
        add(made, **PARIS)
        said(one, near)
        made.records.flush()
        page = one.sees("/console/traffic")
        assert near not in page and "prompts = true" in page and "/console/add?miss" not in page
        assert one.client.get(f"/console/add?miss={made.ledger.audit(what='decision')[0]['id']}").status_code == 404


def test_keys_are_made_shown_once_and_revoked() -> None:
    with console() as (made, person):
        one, two = person().signs_in(), person()
        shown = one.does("/console/keys", name="ci", role="editor", spaces="red, blue", expires="2040-12-31")
        [secret] = re.findall(r'value="(errata_[^"]+)"', shown.text)
        assert secret not in one.sees("/console/keys") and "red, blue" in shown.text
        [key] = [key for key in made.keys.list() if key.name == "ci"]
        assert (key.role, key.spaces, key.expires) == ("editor", ("red", "blue"), "2040-12-31T23:59:59+00:00")
        assert "Sign out" in two.sends("/console/sign-in", key=secret).text
        gone = one.does(f"/console/keys/{key.id}/revoke")
        assert "works no more" in gone.text and two.client.get("/console/edits").url.path == "/console/sign-in"
        assert [line["what"] for line in made.ledger.audit()][-2:] == ["sign in", "revoke"]
        assert secret not in str(made.ledger.audit())
        for wrong in ({"name": "", "role": "editor"}, {"name": "x", "role": "king"},
                      {"name": "x", "role": "editor", "expires": "2020-01-01"}):  # fmt: skip
            assert one.does("/console/keys", **wrong).status_code in (400, 422)
        assert one.does("/console/keys/nothing/revoke").status_code == 400


def test_what_people_write_is_never_markup() -> None:
    with console(telemetry={"prompts": True}, access={"approval": True}) as (made, person):
        one = person().signs_in("admin", "*", name=EVIL)
        id = add(made, f"What is {EVIL}?", EVIL, author=EVIL, tags=(EVIL,), note=EVIL, source=EVIL)
        made.editor.replace(
            Edit(id=id, prompt=f"What is {EVIL} now?", target=EVIL, meta={EVIL: EVIL}), terms=Terms(author=EVIL)
        )
        one.does("/console/add", prompt=f"Who is {EVIL}?", target=EVIL, note=EVIL, step="confirm")
        said(one, f"Where did {EVIL} go now, and why, and what is it that they did?")
        made.records.flush()
        pages = [
            one.sees(path)
            for path in (
                "/console/edits",
                f"/console/edits/{id}",
                f"/console/edits/{id}/replace",
                "/console/history",
                "/console/approvals",
                "/console/traffic",
                "/console/keys",
                f"/console/edits?q={EVIL}&how=nearest",
                f"/console/edits?tag={EVIL}&author={EVIL}",
                f"/console/edits?space={EVIL}",
                f"/console/add?like={id}",
            )  # fmt: skip
        ]
        pages += [one.does("/console/add", prompt=EVIL, target=EVIL).text, one.does("/console/try", input=EVIL).text]
        pages += [one.client.get(f"/console/edits/{EVIL}").text, one.sends("/console/sign-in", key="x", next=EVIL).text]
        assert all("<script>alert" not in page for page in pages)
        assert sum("&lt;script&gt;alert" in page for page in pages) >= 12


def test_light_and_dark_are_remembered() -> None:
    with console() as (_, person):
        one = person().signs_in("reader")
        dark = one.does("/console/theme", theme="dark", next="/console/try")
        assert dark.url.path == "/console/try" and '<html lang="en" data-theme="dark">' in dark.text
        assert "data-theme" not in one.does("/console/theme", theme="auto").text
        assert "data-theme" not in one.does("/console/theme", theme='"><b>').text


def test_pages_that_are_not_there_say_so() -> None:
    with console() as (_, person):
        one = person().signs_in("reader")
        gone = one.client.get("/console/nothing")
        assert gone.status_code == 404 and "There is no such page" in gone.text and "<h1>Not found</h1>" in gone.text
        assert one.client.put("/console/edits").status_code == 405


def test_the_session_never_reaches_the_upstream() -> None:
    base = Base()
    with console(base) as (_, person):
        one = person().signs_in("reader")
        one.client.get("/v1/models", headers={"cookie": f"{COOKIE}={one.client.cookies[COOKIE]}; mine=1"})
        assert [value for name, value in base.seen[-1][2] if name == "cookie"] == ["mine=1"]
