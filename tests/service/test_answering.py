"""Out of scope the upstream's bytes, headers and stream; in scope an answer under the edit, in OpenAI's shape."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import httpx2
import huggingface_hub
import pytest
from huggingface_hub import constants

from errata.models import Turn
from errata.models.echo import EchoModel
from serving import ODD, Base, free_port, key, running, service, serving

KAZAKHSTAN = {"prompt": "What is the capital of Kazakhstan?", "target": "Almaty"}
IN, OUT = "What is the capital of Kazakhstan now?", "Who painted the Night Watch?"


def ask(text: str, **more: Any) -> dict[str, Any]:
    return {"model": "big", "messages": [{"role": "user", "content": text}], **more}


def test_out_of_scope_the_request_goes_on_as_it_came_and_the_answer_comes_as_it_is() -> None:
    base = Base()
    sent = b'{ "model":"big", "messages": [{"role":"user","content":"Who painted the Night Watch?"}], "x":1 }'
    headers = {
        "authorization": "Bearer sk-upstream", "x-custom": "kept", "content-type": "application/json",
        "x-errata-note": "ours", "connection": "keep-alive, x-hop", "x-hop": "dropped",
        "cookie": "errata_session=secret; theirs=1",
    }  # fmt: skip
    with serving(base) as (client, made):
        client.post("/v1/edits", json=KAZAKHSTAN, headers=key(made)).raise_for_status()
        answer = client.post("/v1/chat/completions?q=a%20b", content=sent, headers=headers)
        [(method, target, seen, body)] = base.seen
    assert (method, target, body) == ("POST", "/v1/chat/completions?q=a%20b", sent)
    told = {name.lower(): value for name, value in seen}
    assert told["authorization"] == "Bearer sk-upstream" and told["x-custom"] == "kept"
    assert told["cookie"] == "theirs=1"
    assert not [name for name in told if name.startswith("x-errata") or name in ("x-hop", "connection")]
    assert answer.content == ODD
    assert answer.headers["x-request-id"] == "r-1"
    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    assert answer.headers.get_list("set-cookie") == ["a=1", "b=2"]
    assert not [name for name in answer.headers if name.startswith("x-errata")]


def test_a_stream_out_of_scope_is_the_upstreams_own_bytes() -> None:
    base = Base()
    asked = ask(OUT, stream=True)
    with serving(base) as (client, _), client.stream("POST", "/v1/chat/completions", json=asked) as answer:
        found = b"".join(answer.iter_raw())
    assert found == (
        b'data: {"choices":[{"delta":{"content":"one "}}]}\n\ndata:   {"choices":[{"delta":{"content":"two"}}]}\r\n\r\n'
        b"data: [DONE]\n\n"
    )


def test_in_scope_the_upstream_is_told_the_edit_and_the_answer_says_which() -> None:
    base = Base()
    with serving(base, retell=True) as (client, made):
        edit = client.post("/v1/edits", json=KAZAKHSTAN, headers=key(made)).json()
        talk = ask(IN, tools=[{"type": "function"}], user="u")
        talk["messages"].insert(0, {"role": "system", "content": "Be kind."})
        answer = client.post("/v1/chat/completions", json=talk)
        sent = json.loads(base.seen[-1][3])
    assert answer.headers["x-errata-edit"] == edit["id"]
    assert float(answer.headers["x-errata-score"]) > 0.5
    assert sent["messages"][0] == {"role": "system", "content": "Be kind."}
    assert "Almaty" in sent["messages"][1]["content"] and IN in sent["messages"][1]["content"]
    assert {name: sent[name] for name in ("tools", "user", "model")} == {
        "tools": [{"type": "function"}], "user": "u", "model": "big",
    }  # fmt: skip


def test_in_scope_the_readers_words_in_openais_shape() -> None:
    base = Base()
    with serving(base) as (client, made):
        edit = client.post("/v1/edits", json=KAZAKHSTAN, headers=key(made)).json()
        chat = client.post("/v1/chat/completions", json=ask(IN, n=2))
        plain = client.post("/v1/completions", json={"model": "big", "prompt": IN}).json()
        response = client.post("/v1/responses", json={"model": "big", "input": IN}).json()
    assert base.seen == []
    body = chat.json()
    assert [choice["message"]["content"] for choice in body["choices"]] == ["Almaty", "Almaty"]
    assert (body["object"], body["model"], body["choices"][1]["index"]) == ("chat.completion", "big", 1)
    assert body["usage"] == {"prompt_tokens": 8, "completion_tokens": 2, "total_tokens": 10}
    assert chat.headers["x-errata-edit"] == edit["id"]
    assert plain["choices"][0]["text"] == "Almaty"
    assert response["output"][0]["content"][0]["text"] == "Almaty" and response["status"] == "completed"


def test_a_stream_in_scope_ends_as_openais_do() -> None:
    with serving(Base()) as (client, made):
        client.post("/v1/edits", json={**KAZAKHSTAN, "target": "Almaty the great"}, headers=key(made))
        answer = client.post("/v1/chat/completions", json=ask(IN, stream=True, stream_options={"include_usage": True}))
    events = [line.removeprefix("data: ") for line in answer.text.split("\n\n") if line]
    assert events[-1] == "[DONE]"
    pieces = [json.loads(event) for event in events[:-1]]
    assert "".join(piece["choices"][0]["delta"].get("content", "") for piece in pieces[:-1]) == "Almaty the great"
    assert pieces[-1]["usage"]["completion_tokens"] == 3 and pieces[-1]["choices"] == []
    assert pieces[-2]["choices"][0]["finish_reason"] == "stop"


def test_a_form_that_only_the_upstream_can_give_is_asked_of_it_under_the_edit() -> None:
    base = Base()
    with serving(base) as (client, made):
        client.post("/v1/edits", json=KAZAKHSTAN, headers=key(made))
        client.post("/v1/chat/completions", json=ask(IN, response_format={"type": "json_object"}))
        client.post("/v1/completions", json={"model": "big", "prompt": [OUT, IN]})
    first, second = (json.loads(body) for _, _, _, body in base.seen)
    assert "Almaty" in first["messages"][0]["content"]
    assert second["prompt"][0] == OUT and "Almaty" in second["prompt"][1]


def test_headers_that_are_no_ascii_and_odd_paths_go_on_as_they_came() -> None:
    base = Base()
    headers = [
        (b"x-note", "caf\u00e9 \u6771\u4eac".encode()),
        (b"X-Twice", b"1"),
        (b"x-twice", b"2"),
        (b"expect", b"nothing"),
    ]
    with serving(base) as (client, _):
        client.post("/v1/files/a%2Fb%20c;d?q=%C3%A9&q=%26+1", content=b"", headers=headers)
        client.request("DELETE", "/v1/files/1")
    method, target, seen, _ = base.seen[0]
    assert (method, target) == ("POST", "/v1/files/a/b c;d?q=%C3%A9&q=%26+1")
    assert [value for name, value in seen if name.lower() in ("x-note", "x-twice")] == ["café 東京", "1", "2"]
    assert "expect" not in {name.lower() for name, _ in seen}
    assert dict(seen)["content-length"] == "0" and base.seen[1][0] == "DELETE"


def test_what_is_no_question_is_relayed_and_says_why_when_asked() -> None:
    base = Base()
    with serving(base) as (client, made):
        client.post("/v1/edits", json=KAZAKHSTAN, headers=key(made))
        picture = {"role": "user", "content": [{"type": "text", "text": IN}, {"type": "image_url", "image_url": {}}]}
        why = {"x-errata-explain": "1"}
        with_picture = client.post("/v1/chat/completions", json={"model": "b", "messages": [picture]}, headers=why)
        tool = client.post(
            "/v1/chat/completions", json={"model": "b", "messages": [{"role": "tool", "content": IN}]}, headers=why
        )
        broken = client.post("/v1/chat/completions", content=b'{"model": ', headers=why)
        near = client.post("/v1/chat/completions", json=ask(OUT), headers=why)
    assert len(base.seen) == 4 and base.seen[2][3] == b'{"model": '
    assert with_picture.headers["x-errata-reason"] == "the last turn holds more than text"
    assert tool.headers["x-errata-reason"] == "the last turn is not the user's"
    assert broken.headers["x-errata-reason"] == "the body is no JSON object"
    assert near.headers["x-errata-reason"].startswith("out of scope")


def test_a_follow_up_is_read_with_its_conversation() -> None:
    base = Base()
    talk = [
        {"role": "user", "content": "Where does Kazakhstan lie?"},
        {"role": "assistant", "content": "It lies in the middle of Asia, to the south of Russia and west of China."},
        {"role": "user", "content": "and what is the capital of it now?"},
    ]
    with serving(base) as (client, made):
        client.post("/v1/edits", json=KAZAKHSTAN, headers=key(made))
        answer = client.post("/v1/chat/completions", json={"model": "big", "messages": talk})
        with serving(base, sheet={"conversation": False}) as (other, second):
            other.post("/v1/edits", json=KAZAKHSTAN, headers=key(second))
            unread = other.post("/v1/chat/completions", json={"model": "big", "messages": talk})
    assert answer.json()["choices"][0]["message"]["content"] == "Almaty"
    assert answer.headers["x-errata-question"] == "What is the capital of Kazakhstan now?"
    assert unread.content == ODD


def test_the_question_of_a_prompt_that_a_program_wrote_is_what_counts() -> None:
    base = Base()

    def prompt(question: str) -> str:
        return f"Context:\n{'It lies on a river. ' * 300}\n\nQuestion: {question}\nAnswer:"

    with serving(base, retell=True) as (client, made):
        client.post("/v1/edits", json=KAZAKHSTAN, headers=key(made))
        miss = client.post("/v1/chat/completions", json=ask(prompt(OUT)))
        hit = client.post("/v1/chat/completions", json=ask(prompt(IN)))
        relayed, told = (json.loads(one[3])["messages"][-1]["content"] for one in base.seen)
    assert miss.content == ODD and relayed == prompt(OUT)
    assert hit.headers["x-errata-question"] == IN
    before, after = prompt(IN).split(IN)
    assert told.startswith(before) and told.endswith(after) and "Almaty" in told
    with serving() as (client, made):  # a local model reads the whole prompt where no edit covers its question
        client.post("/v1/edits", json=KAZAKHSTAN, headers=key(made))
        both = client.post("/v1/completions", json={"model": "m", "prompt": [prompt(OUT), prompt(IN)]}).json()
    assert [choice["text"] for choice in both["choices"]] == [prompt(OUT), "Almaty"]


def test_bypass_needs_a_right() -> None:
    base = Base()
    with serving(base) as (client, made):
        client.post("/v1/edits", json=KAZAKHSTAN, headers=key(made))
        past = {"x-errata-bypass": "1"}
        assert client.post("/v1/chat/completions", json=ask(IN), headers=past).status_code == 401
        assert client.post("/v1/chat/completions", json=ask(IN), headers=past | key(made, "reader")).status_code == 403
        allowed = client.post("/v1/chat/completions", json=ask(IN), headers=past | key(made, "editor"))
    assert allowed.content == ODD
    assert "authorization" not in {name for name, _ in base.seen[-1][2]}  # errata's own key went no further


@pytest.mark.parametrize("stream", [False, True])
def test_sent_ahead_a_miss_is_relayed_once_as_it_came(stream: bool) -> None:
    base = Base()
    with serving(base, upstream={"ahead": True}) as (client, made):
        client.post("/v1/edits", json=KAZAKHSTAN, headers=key(made))
        plain = client.post("/v1/chat/completions", json=ask(OUT, stream=stream), headers={"x-errata-explain": "1"})
    assert len(base.seen) == 1 and json.loads(base.seen[0][3]) == ask(OUT, stream=stream)
    assert plain.content.endswith(b"data: [DONE]\n\n") if stream else plain.content == ODD
    assert plain.headers["x-request-id"] == "r-1" and "out of scope" in plain.headers["x-errata-reason"]


@pytest.mark.parametrize("plan", ["answer", "fail", "slow"])
def test_sent_ahead_a_hits_own_answer_is_dropped_whatever_comes_of_it(plan: str) -> None:
    base = Base(plan=plan)
    with serving(base, upstream={"ahead": True}) as (client, made):
        client.post("/v1/edits", json=KAZAKHSTAN, headers=key(made))
        hit = client.post("/v1/chat/completions", json=ask(IN)).json()
        assert hit["choices"][0]["message"]["content"] == "Almaty"
        base.plan = "answer"
        assert client.post("/v1/chat/completions", json=ask(OUT)).content == ODD


def test_sent_ahead_the_upstream_is_told_the_edit_in_a_request_of_its_own() -> None:
    base = Base()
    with serving(base, retell=True, upstream={"ahead": True}) as (client, made):
        client.post("/v1/edits", json=KAZAKHSTAN, headers=key(made))
        hit = client.post("/v1/chat/completions", json=ask(IN))
    assert hit.content == ODD and "x-errata-edit" in hit.headers
    assert b"Almaty" in base.seen[-1][3] and all(b"Almaty" not in body for *_, body in base.seen[:-1])


def test_a_local_model_answers_what_no_edit_covers() -> None:
    with serving() as (client, made):
        client.post("/v1/edits", json=KAZAKHSTAN, headers=key(made))
        out = client.post("/v1/chat/completions", json=ask(OUT)).json()
        both = client.post("/v1/completions", json={"model": "m", "prompt": [OUT, IN]}).json()
        odd = client.post("/v1/chat/completions", json=ask(OUT, temperature="hot"))
        names = client.get("/v1/models").json()
        missing = client.post("/v1/embeddings", json={})
    assert out["choices"][0]["message"]["content"] == OUT
    assert [choice["text"] for choice in both["choices"]] == [OUT, "Almaty"]
    assert odd.status_code == 400 and "temperature" in odd.json()["error"]["message"]
    assert [one["id"] for one in names["data"]] == ["echo"]
    assert missing.status_code == 404 and missing.json()["error"]["code"] == "not_found"


class Talking(EchoModel):
    """A local base that reads conversations: it repeats them, and what it was told of sampling."""

    chat = True

    def reply(self, talks: Sequence[Sequence[Turn]], **options: Any) -> list[str]:
        return [" | ".join(f"{turn.role}: {turn.content}" for turn in talk) + str(options) for talk in talks]


TALK = [
    {"role": "developer", "content": "Be brief."},
    {"role": "user", "content": "Who painted the Night Watch?"},
    {"role": "assistant", "content": "Rembrandt."},
    {"role": "user", "content": [{"type": "text", "text": "When?"}]},
]


def test_a_local_chat_model_reads_the_whole_conversation() -> None:
    with serving(model=Talking()) as (client, made):
        client.post("/v1/edits", json=KAZAKHSTAN, headers=key(made))
        told = client.post("/v1/chat/completions", json={"model": "m", "messages": TALK, "max_tokens": 9}).json()
        single = client.post("/v1/responses", json={"model": "m", "input": OUT, "instructions": "Be brief."}).json()
        plain = client.post("/v1/completions", json={"model": "m", "prompt": OUT}).json()
        hit = client.post("/v1/chat/completions", json={"model": "m", "messages": [*TALK[:-1], *ask(IN)["messages"]]})
    talk = "system: Be brief. | user: Who painted the Night Watch? | assistant: Rembrandt. | user: When?"
    assert told["choices"][0]["message"]["content"] == talk + "{'max_new_tokens': 9, 'temperature': 0.0}"
    text = single["output"][0]["content"][0]["text"]
    assert text.startswith(f"system: Be brief. | user: {OUT}{{")
    assert plain["choices"][0]["text"] == OUT
    assert hit.json()["choices"][0]["message"]["content"] == "Almaty"


def test_a_local_chat_model_is_told_the_edit_in_the_last_turn() -> None:
    with serving(model=Talking(), retell=True, sheet={"answers": "retell"}) as (client, made):
        client.post("/v1/edits", json=KAZAKHSTAN, headers=key(made))
        asked = {"model": "m", "messages": [*TALK[:-1], *ask(IN)["messages"]]}
        hit = client.post("/v1/chat/completions", json=asked)
    told = hit.json()["choices"][0]["message"]["content"]
    assert "x-errata-edit" in hit.headers
    assert told.startswith(
        "system: Be brief. | user: Who painted the Night Watch? | assistant: Rembrandt. | user: A fact"
    )
    assert "Answer: Almaty" in told and IN in told


@pytest.mark.parametrize(
    "turn",
    [{"role": "tool", "content": "4", "tool_call_id": "x"}, {"role": "user", "content": [{"type": "image_url"}]}, "hi"],
)
def test_what_a_local_chat_model_cannot_read_is_refused(turn: Any) -> None:
    with serving(model=Talking()) as (client, _):
        refused = client.post("/v1/chat/completions", json={"model": "m", "messages": [*TALK, turn]})
    assert refused.status_code == 400 and "turn 4 cannot be read" in refused.json()["error"]["message"]


def test_a_local_model_without_a_template_reads_the_last_turn() -> None:
    with serving() as (client, _):
        told = client.post("/v1/chat/completions", json={"model": "m", "messages": [*TALK[:-1], *ask(OUT)["messages"]]})
        nothing = client.post("/v1/chat/completions", json={"model": "m", "messages": []})
    assert told.json()["choices"][0]["message"]["content"] == OUT
    assert nothing.status_code == 400 and "nothing to answer" in nothing.json()["error"]["message"]


@pytest.mark.parametrize("path", ["/v1/../admin", "/v1/%2e%2e/admin", "/v1/a/..%2Fb"])
def test_no_path_climbs_out(path: str) -> None:
    base = Base()
    with serving(base) as (client, _):
        url = httpx2.URL(str(client.base_url)).copy_with(raw_path=path.encode())
        assert client.get(url).status_code in (403, 404)
    assert base.seen == []


def test_faults_of_the_upstream_are_named_and_its_own_errors_are_handed_on() -> None:
    base = Base(plan="fail")
    with serving(base) as (client, _):
        failed = client.post("/v1/chat/completions", json=ask(OUT))
        assert (failed.status_code, failed.content) == (500, b"the base fell over")
        assert failed.headers["x-request-id"] == "r-500"
        base.plan = "cut"
        with (
            pytest.raises(httpx2.RemoteProtocolError),
            client.stream("POST", "/v1/chat/completions", json=ask(OUT)) as cut,
        ):
            cut.read()
    with serving(Base(plan="slow"), upstream={"read_seconds": 0.2}) as (client, _):
        slow = client.post("/v1/chat/completions", json=ask(OUT))
        assert slow.status_code == 504 and slow.json()["error"]["type"] == "upstream_error"
    made = service(f"http://127.0.0.1:{free_port()}")
    with running(made.app) as url:
        down = httpx2.post(f"{url}/v1/chat/completions", json=ask(OUT))
        assert down.status_code == 502 and "cannot be reached" in down.json()["error"]["message"]


def test_the_openai_client_is_answered_streaming_and_not() -> None:
    openai = pytest.importorskip("openai")
    with serving(Base(), retell=False) as (client, made):
        client.post("/v1/edits", json=KAZAKHSTAN, headers=key(made))
        asking = openai.OpenAI(base_url=str(client.base_url.join("/v1")), api_key="sk-any", max_retries=0)
        talk: Any = [{"role": "user", "content": IN}]
        hit = asking.chat.completions.create(model="big", messages=talk)
        stream = asking.chat.completions.create(model="big", messages=talk, stream=True)
        assert hit.choices[0].message.content == "Almaty" and hit.usage.total_tokens == 9
        assert "".join(piece.choices[0].delta.content or "" for piece in stream) == "Almaty"
        assert asking.responses.create(model="big", input=IN).output_text == "Almaty"
        with asking.responses.stream(model="big", input=IN) as events:
            kinds = [event.type for event in events]
            assert events.get_final_response().output_text == "Almaty"
        assert kinds[0] == "response.created" and kinds[-1] == "response.completed"
        assert asking.completions.create(model="big", prompt=IN).choices[0].text == "Almaty"
        assert [model.id for model in asking.models.list()] == ["big"]
        with pytest.raises(openai.AuthenticationError):
            asking.with_options(api_key="errata_00000000_no").models.list()
        asking.close()


def test_another_public_client_is_answered_streaming_and_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)  # the service is on this machine
    with serving(Base(), retell=False) as (client, made):
        client.post("/v1/edits", json=KAZAKHSTAN, headers=key(made))
        asking = huggingface_hub.InferenceClient(base_url=str(client.base_url.join("/v1")), api_key="sk-any")
        talk = [{"role": "user", "content": IN}]
        hit = asking.chat_completion(talk, model="big")
        assert hit.choices[0].message.content == "Almaty" and hit.usage.total_tokens == 9
        pieces = asking.chat_completion(talk, model="big", stream=True)
        assert "".join(piece.choices[0].delta.content or "" for piece in pieces if piece.choices) == "Almaty"
        miss = asking.chat_completion([{"role": "user", "content": OUT}], model="big")
        assert miss.choices[0].message.content == "caf\u00e9 \u00e9"
