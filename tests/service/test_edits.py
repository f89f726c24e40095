"""The memory over HTTP: durable changes, concurrent writers, rights, approvals, and what the audit holds."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from errata.service.keys import Keys
from errata.service.ledgerfile import FileLedger
from serving import Base, key, serving

PARIS: dict[str, Any] = {"prompt": "What is the capital of France?", "target": "Lyon"}
ROME: dict[str, Any] = {"prompt": "Who governs Rome?", "target": "Brutus"}


def said(client: Any, text: str) -> str:
    answer = client.post("/v1/chat/completions", json={"model": "m", "messages": [{"role": "user", "content": text}]})
    return str(answer.json()["choices"][0]["message"]["content"])


def test_an_edit_is_in_force_when_it_is_answered_and_gone_when_it_is_retracted() -> None:
    with serving() as (client, made):
        boss = key(made)
        added = client.post("/v1/edits", json={**PARIS, "tags": ["geo"], "source": "atlas"}, headers=boss)
        id = added.json()["id"]
        assert (added.status_code, added.headers["etag"]) == (201, '"1"')
        assert added.json()["author"] == "admin" and added.json()["tags"] == ["geo"]
        assert said(client, PARIS["prompt"]) == "Lyon"
        client.post(f"/v1/edits/{id}/disable", headers=boss)
        assert said(client, PARIS["prompt"]) == PARIS["prompt"]
        client.post(f"/v1/edits/{id}/enable", headers=boss)
        client.put(f"/v1/edits/{id}", json={**PARIS, "target": "Nice"}, headers=boss).raise_for_status()
        assert said(client, PARIS["prompt"]) == "Nice"
        assert client.delete(f"/v1/edits/{id}", headers=boss).json()["kind"] == "retract"
        assert said(client, PARIS["prompt"]) == PARIS["prompt"]
        history = client.get(f"/v1/edits/{id}/history", headers=boss).json()["data"]
        assert [one["kind"] for one in history] == ["add", "disable", "enable", "replace", "retract"]
        client.post("/v1/edits/undo", headers=boss).raise_for_status()
        assert said(client, PARIS["prompt"]) == "Nice"
        changes = [line["what"] for line in made.ledger.audit() if line["what"] not in ("decision", "key")]
        assert changes == ["add", "disable", "enable", "replace", "retract", "undo"]


def test_a_batch_is_all_or_none_and_pages_follow_one_another() -> None:
    with serving() as (client, made):
        boss = key(made)
        bad = client.post("/v1/edits/batch", json={"edits": [PARIS, {**ROME, "target": ""}]}, headers=boss)
        assert bad.status_code == 400 and bad.json()["error"]["code"] == "UnsupportedEdit"
        assert client.get("/v1/edits", headers=boss).json()["data"] == []
        both = client.post("/v1/edits/batch", json={"edits": [PARIS, ROME]}, headers=boss)
        assert both.status_code == 201 and both.json()["revision"] == 2
        first = client.get("/v1/edits?limit=1", headers=boss).json()
        second = client.get(f"/v1/edits?limit=1&after={first['next']}", headers=boss).json()
        assert [page["data"][0]["target"] for page in (first, second)] == ["Lyon", "Brutus"]
        assert second["next"] is None
        log = client.get("/v1/edits/history?limit=1&after=1", headers=boss).json()
        assert [one["target"] for one in log["data"]] == ["Brutus"] and log["next"] is None


def test_the_past_can_be_listed_compared_and_taken_along() -> None:
    with serving() as (client, made):
        boss = key(made)
        id = client.post("/v1/edits", json=PARIS, headers=boss).json()["id"]
        client.post("/v1/edits", json=ROME, headers=boss)
        client.put(f"/v1/edits/{id}", json={**PARIS, "target": "Nice"}, headers=boss)
        then = client.get("/v1/edits?at=1", headers=boss).json()
        assert [one["target"] for one in then["data"]] == ["Lyon"] and then["revision"] == 1
        told = client.get("/v1/edits/diff?a=1", headers=boss).json()
        assert [one["target"] for one in told["added"]] == ["Brutus"] and told["to"] == 3
        assert [(one["before"]["target"], one["after"]["target"]) for one in told["changed"]] == [("Lyon", "Nice")]
        assert client.get("/v1/edits/diff?a=1&b=99", headers=boss).status_code == 400
        lines = client.get("/v1/edits/export", headers=boss).text.splitlines()
        assert sorted(json.loads(line)["target"] for line in lines) == ["Brutus", "Nice"]


def test_an_export_is_imported_whole_or_not_at_all_and_by_whoever_sends_it() -> None:
    with serving() as (client, made):
        boss = key(made)
        client.post("/v1/edits", json={**PARIS, "tags": ["geo"]}, headers=boss)
        lines = client.get("/v1/edits/export", headers=boss).text
    with serving() as (client, made):
        boss, own = key(made), key(made, "editor", "shop")
        bad = client.post("/v1/edits/import", content=f"{lines}\nnot json\n", headers=boss)
        assert bad.status_code == 400 and "line 3" in bad.json()["error"]["message"]
        forged = json.dumps({**json.loads(lines), "author": "somebody else"})
        assert client.post("/v1/edits/import", content=forged, headers=own).status_code == 403
        assert client.get("/v1/edits", headers=boss).json()["data"] == []
        for sent, came in ((forged, (1, 0)), (lines, (0, 1))):
            told = client.post("/v1/edits/import", content=sent, headers=boss).json()
            assert (told["added"], told["unchanged"], told["revision"]) == (*came, 1)
        [edit] = client.get("/v1/edits", headers=boss).json()["data"]
        assert (edit["target"], edit["tags"], edit["author"]) == ("Lyon", ["geo"], "admin")
        other = json.dumps({**json.loads(lines), "target": "Nice"})
        taken = client.post("/v1/edits/import", content=other, headers=boss)
        assert taken.status_code == 400 and "taken by another text" in taken.json()["error"]["message"]
    with serving(access={"approval": True}) as (client, made):
        assert client.post("/v1/edits/import", content=lines, headers=key(made)).status_code == 403


def test_writers_that_did_not_see_the_newest_revision_are_told_so() -> None:
    with serving() as (client, made):
        boss = key(made)
        id = client.post("/v1/edits", json=PARIS, headers=boss).json()["id"]
        client.post("/v1/edits", json=ROME, headers=boss)
        late = client.put(f"/v1/edits/{id}", json={**PARIS, "target": "Nice"}, headers={**boss, "if-match": '"1"'})
        assert late.status_code == 412 and "revision 2" in late.json()["error"]["message"]
        new = client.put(f"/v1/edits/{id}", json={**PARIS, "target": "Nice"}, headers={**boss, "if-match": '"2"'})
        assert new.status_code == 200 and new.headers["etag"] == '"3"'


def test_a_request_that_is_sent_twice_is_done_once() -> None:
    with serving() as (client, made):
        boss = {**key(made), "idempotency-key": "abc"}
        first = client.post("/v1/edits", json={**PARIS, "id": "a"}, headers=boss)
        again = client.post("/v1/edits", json={**PARIS, "id": "a"}, headers=boss)
        other = client.post("/v1/edits", json={**ROME, "id": "a"}, headers=boss)
        assert again.json() == first.json() and again.headers["idempotent-replayed"] == "true"
        assert other.status_code == 409 and made.editor.memory.revision == 1


def test_rights_by_role_and_space() -> None:
    with serving() as (client, made):
        reader, editor = key(made, "reader"), key(made, "editor", "red")
        assert client.get("/v1/edits").status_code == 401
        assert client.get("/v1/edits", headers={"authorization": "Bearer errata_00000000_x"}).status_code == 401
        assert client.post("/v1/edits", json=PARIS, headers=reader).status_code == 403
        assert client.post("/v1/edits", json={**PARIS, "space": "blue"}, headers=editor).status_code == 403
        own = client.post("/v1/edits", json=PARIS, headers=editor)
        assert own.json()["space"] == "red"  # the key's only space
        assert client.post("/v1/edits/undo", headers=editor).status_code == 403  # the log is everyone's
        blue = client.post("/v1/edits", json={**ROME, "space": "blue"}, headers=key(made)).json()["id"]
        assert client.get(f"/v1/edits/{blue}", headers=editor).status_code == 404
        assert client.delete(f"/v1/edits/{blue}", headers=editor).status_code == 404
        assert client.get("/v1/edits?space=blue", headers=editor).status_code == 403
        asked = {"model": "m", "messages": [{"role": "user", "content": PARIS["prompt"]}]}
        plain = client.post("/v1/chat/completions", json=asked)
        red = client.post("/v1/chat/completions", json=asked, headers=editor)
        assert "x-errata-edit" not in plain.headers and red.headers["x-errata-edit"] == own.json()["id"]


def test_with_approval_a_second_person_puts_an_edit_in_force() -> None:
    with serving(access={"approval": True}) as (client, made):
        editor, boss = key(made, "editor"), key(made, "approver")
        asked = client.post("/v1/edits", json=PARIS, headers=boss)
        number = asked.json()["approval"]
        assert asked.status_code == 202 and said(client, PARIS["prompt"]) == PARIS["prompt"]
        own = client.post(f"/v1/approvals/{number}/approve", headers=boss)
        assert own.status_code == 403 and "of their own" in own.json()["error"]["message"]
        assert client.post(f"/v1/approvals/{number}/approve", headers=editor).status_code == 403
        second = key(made, "approver")
        done = client.post(f"/v1/approvals/{number}/approve", headers=second)
        assert done.status_code == 200 and done.json()["status"] == "approved"
        assert done.json()["data"][0]["author"] == "approver" and said(client, PARIS["prompt"]) == "Lyon"
        assert client.post(f"/v1/approvals/{number}/approve", headers=second).status_code == 409
        far = {"edits": [{**ROME, "space": "blue"}]}
        beyond = client.post("/v1/edits/batch", json=far, headers=editor).json()["approval"]
        narrow = key(made, "approver", "default")
        assert client.post(f"/v1/approvals/{beyond}/approve", headers=narrow).status_code == 403
        waits = client.post("/v1/edits", json=ROME, headers=editor).json()["approval"]
        assert client.post(f"/v1/approvals/{waits}/reject", headers=second).json()["status"] == "rejected"
        assert said(client, ROME["prompt"]) == ROME["prompt"]
        assert client.post("/v1/approvals/99/approve", headers=second).status_code == 404


def test_look_before_and_why_after() -> None:
    with serving() as (client, made):
        boss = key(made)
        client.post("/v1/edits", json=PARIS, headers=boss)
        check = client.post("/v1/edits/check", json={**PARIS, "target": "Nice"}, headers=boss).json()
        assert not check["ok"] and check["contradictions"][0]["target"] == "Lyon"
        why = client.post("/v1/edits/why", json={"input": PARIS["prompt"]}, headers=boss).json()
        assert (why["answer"], why["base_answer"], why["edited"]) == ("Lyon", PARIS["prompt"], True)
        prompt = f"Context: it lies on a river.\nQuestion: {PARIS['prompt']}\nAnswer:"
        why = client.post("/v1/edits/why", json={"input": prompt}, headers=boss).json()
        assert (why["input"], why["answer"], why["base_answer"]) == (PARIS["prompt"], "Lyon", prompt)
        near = client.post("/v1/edits/search", json={"input": "capital of France"}, headers=boss).json()
        assert near["data"][0]["target"] == "Lyon" and near["threshold"] == 0.5


def test_bad_requests_are_named() -> None:
    with serving(access={"body_bytes": 2000}) as (client, made):
        boss = key(made)
        extra = client.post("/v1/edits", json={**PARIS, "targt": "x"}, headers=boss)
        assert extra.status_code == 422 and extra.json()["error"]["param"] == "targt"
        assert client.post("/v1/edits", json={**PARIS, "meta": {"": "x"}}, headers=boss).status_code == 400
        assert client.get("/v1/edits/nothing", headers=boss).status_code == 404
        long = client.post("/v1/chat/completions", content=b"x" * 3000)
        assert long.status_code == 413 and long.json()["error"]["code"] == "request_too_large"


def test_too_many_requests_are_told_when_to_come_again() -> None:
    with serving(access={"per_minute": 2}) as (client, _):
        codes = [client.get("/v1/models").status_code for _ in range(4)]
        refused = client.get("/v1/models")
    assert 200 in codes and codes[-1] == 429
    assert 1 <= int(refused.headers["retry-after"]) <= 60


def test_anonymous_requests_can_be_refused() -> None:
    with serving(Base(), access={"anonymous": "none"}) as (client, made):
        assert client.get("/v1/models").status_code == 401
        assert client.get("/v1/models", headers=key(made, "reader")).status_code == 200


def test_secrets_are_kept_hashed_and_revoked_at_once(tmp_path: Any) -> None:
    ledger = FileLedger(tmp_path / "ledger.db")
    keys = Keys(ledger)
    one, secret = keys.make("ci", "editor", ["red"])
    caller = keys.caller(secret)
    assert caller is not None and (caller.name, caller.role, caller.spaces) == ("ci", "editor", ("red",))
    ledger.rows("PRAGMA wal_checkpoint(TRUNCATE)")
    assert secret.encode() not in (tmp_path / "ledger.db").read_bytes()
    assert secret.split("_", 2)[2].encode() not in (tmp_path / "ledger.db").read_bytes()
    assert keys.caller(secret[:-1] + ("a" if secret[-1] != "a" else "b")) is None
    _, past = keys.make("old", "admin", expires=datetime(2020, 1, 1, tzinfo=UTC))
    assert keys.caller(past) is None
    keys.revoke(one.id)
    assert [(line["what"], line["told"]["name"]) for line in ledger.audit()] == [
        ("key", "ci"), ("key", "old"), ("revoke", "ci"),
    ]  # fmt: skip
    assert keys.caller(secret) is None and keys.list()[0].revoked


def test_decisions_are_audited_without_their_texts_unless_switched_on() -> None:
    for prompts in (False, True):
        with serving(telemetry={"prompts": prompts}) as (client, made):
            client.post("/v1/edits", json=PARIS, headers=key(made))
            said(client, PARIS["prompt"])
            made.records.flush()
            [line] = made.ledger.audit(what="decision")
            assert line["told"]["outcome"] == "hit" and line["who"] == "anonymous"
            assert (PARIS["prompt"] in str(line)) is prompts
