"""RemoteModel against a mock transport, and once against a real server on the loopback."""

import json
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx2
import pytest

from errata.errors import ConfigError, EditError, UpstreamError
from errata.models import Model
from errata.models.remote import RemoteModel

KEY = "sk-very-secret-0123"
Handler = Callable[[httpx2.Request], httpx2.Response]


@pytest.fixture(autouse=True)
def no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)


class Server:
    """Answers by a function and keeps the requests."""

    def __init__(self, answer: Handler) -> None:
        self.answer, self.requests, self.lock = answer, list[httpx2.Request](), threading.Lock()
        self.waits = list[float]()

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        with self.lock:
            self.requests.append(request)
        return self.answer(request)

    def model(self, url: str = "http://test/v1", **options: Any) -> RemoteModel:
        options = {"model": "m", "sleep": self.waits.append, **options}
        return RemoteModel(url, transport=httpx2.MockTransport(self), **options)

    def bodies(self) -> list[dict[str, Any]]:
        return [json.loads(request.content) for request in self.requests if request.content]


def chat(text: object, **more: Any) -> httpx2.Response:
    return httpx2.Response(200, json={"choices": [{"message": {"role": "assistant", "content": text}, **more}]})


def echo(request: httpx2.Request) -> httpx2.Response:
    return chat("re: " + json.loads(request.content)["messages"][-1]["content"])


def failing(*statuses: int, headers: dict[str, str] | None = None) -> Handler:
    """Fails with these statuses in turn, then answers."""
    left = list(statuses)

    def answer(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(left.pop(0), headers=headers, text="no") if left else chat("at last")

    return answer


def test_answers_come_in_the_order_of_the_prompts() -> None:
    model: Model = Server(echo).model()
    prompts = [f"p{i}" for i in range(40)]
    assert model.generate(prompts) == [f"re: p{i}" for i in range(40)]


def test_no_prompts_ask_nothing() -> None:
    server = Server(echo)
    assert server.model(model=None).generate([]) == []
    assert server.requests == []


def test_a_request_holds_model_messages_and_greedy_settings() -> None:
    server = Server(echo)
    server.model(system="Be brief.", max_tokens=7, extra={"logit_bias": {}}).generate(["hello"])
    assert server.bodies() == [
        {
            "model": "m",
            "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hello"}],
            "max_tokens": 7,
            "temperature": 0.0,
            "logit_bias": {},
        }
    ]


def test_options_of_a_call_replace_those_of_the_model() -> None:
    server = Server(echo)
    server.model(max_tokens=7).generate(["a"], max_new_tokens=3, temperature=None, seed=1, stop="\n", top_p=0.5)
    expected = {"max_tokens": 3, "seed": 1, "stop": ["\n"], "top_p": 0.5}
    assert {k: v for k, v in server.bodies()[0].items() if k not in ("model", "messages")} == expected


def test_concurrency_is_bounded_and_used() -> None:
    running, most, lock, both = 0, 0, threading.Lock(), threading.Barrier(3)

    def answer(request: httpx2.Request) -> httpx2.Response:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        both.wait(timeout=20)  # three must be in flight at once, or this breaks
        with lock:
            running -= 1
        return echo(request)

    Server(answer).model(concurrency=3, api="chat").generate([str(i) for i in range(9)])
    assert most == 3


def test_the_key_comes_from_the_environment_at_each_request(monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server(echo)
    model = server.model(key_env="MY_KEY")
    model.generate(["a"])
    monkeypatch.setenv("MY_KEY", f" {KEY}\n")
    model.generate(["a"])
    assert [request.headers.get("authorization") for request in server.requests] == [None, f"Bearer {KEY}"]


def test_the_key_is_nowhere_to_be_seen(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    caplog.set_level(logging.DEBUG)
    left = [500]

    def answer(request: httpx2.Request) -> httpx2.Response:
        status = left.pop() if left else 401
        return httpx2.Response(status, text=f"bad key {KEY}")

    model = Server(answer).model()
    with pytest.raises(UpstreamError) as caught:
        model.generate(["a"])
    shown = [
        repr(model),
        repr(vars(model)),
        str(caught.value),
        caught.value.body,
        caplog.text,
        repr(caught.value),
    ]
    assert [text for text in shown if KEY in text] == []
    assert "[key]" in caught.value.body


def test_a_key_no_header_can_hold_is_a_config_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "schlüssel\nzwei")
    with pytest.raises(ConfigError, match="OPENAI_API_KEY") as caught:
        Server(echo).model().generate(["a"])
    assert "zwei" not in str(caught.value)


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504, 529])
def test_what_may_pass_is_tried_again(status: int) -> None:
    server = Server(failing(status, status))
    assert server.model().generate(["a"]) == ["at last"]
    assert len(server.requests) == 3


def test_waits_grow_and_are_jittered() -> None:
    server = Server(failing(*[503] * 6))
    server.model(retries=6).generate(["a"])
    tops = [0.5, 1, 2, 4, 8, 8]
    assert [top / 2 <= wait <= top for wait, top in zip(server.waits, tops, strict=True)] == [True] * 6
    assert any(wait not in (top, top / 2) for wait, top in zip(server.waits, tops, strict=True))


def test_retry_after_in_seconds_is_honoured() -> None:
    server = Server(failing(429, headers={"Retry-After": "17"}))
    server.model().generate(["a"])
    assert server.waits == [17.0]


def test_retry_after_as_a_date_is_honoured() -> None:
    moment = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    server = Server(failing(503, headers={"Retry-After": moment}))
    server.model().generate(["a"])
    assert 25 <= server.waits[0] <= 30


@pytest.mark.parametrize("value", ["soon", "-3", "nan", "inf", ""])
def test_a_nonsense_retry_after_is_ignored(value: str) -> None:
    server = Server(failing(503, headers={"Retry-After": value}))
    server.model().generate(["a"])
    assert 0.25 <= server.waits[0] <= 0.5


def test_a_long_retry_after_is_reported_and_not_waited_for() -> None:
    server = Server(failing(429, headers={"Retry-After": "3600"}))
    with pytest.raises(UpstreamError, match="asks to wait 3600 s"):
        server.model().generate(["a"])
    assert server.waits == []


def test_after_the_last_try_the_error_tells_status_body_and_request_id() -> None:
    server = Server(failing(*[500] * 9, headers={"X-Request-ID": "r-1"}))
    with pytest.raises(UpstreamError, match="500 after 3 tries: no") as caught:
        server.model(retries=2).generate(["a"])
    assert (caught.value.status, caught.value.body, caught.value.request_id) == (500, "no", "r-1")
    assert len(server.requests) == 3


@pytest.mark.parametrize("status", [301, 400, 401, 403, 422])
def test_a_refusal_is_raised_at_once(status: int) -> None:
    server = Server(failing(status))
    with pytest.raises(UpstreamError) as caught:
        server.model().generate(["a"])
    assert (caught.value.status, len(server.requests), server.waits) == (status, 1, [])


def test_connection_errors_are_tried_again_and_then_named() -> None:
    def answer(request: httpx2.Request) -> httpx2.Response:
        raise httpx2.ConnectError("refused")

    server = Server(answer)
    with pytest.raises(UpstreamError, match="did not answer after 3 tries: refused") as caught:
        server.model(retries=2).generate(["a"])
    assert (caught.value.status, len(server.requests)) == (None, 3)


def test_a_time_out_is_tried_again() -> None:
    left = [1]

    def answer(request: httpx2.Request) -> httpx2.Response:
        if left:
            left.pop()
            raise httpx2.ReadTimeout("slow")
        return chat("at last")

    assert Server(answer).model().generate(["a"]) == ["at last"]


@pytest.mark.parametrize(
    "text",
    ["<html>", "[]", "null", '{"choices": []}', '{"choices": {}}', '{"choices": [3]}', "{}", "[" * 100_000],
)
def test_nonsense_is_an_upstream_error(text: str) -> None:
    server = Server(lambda request: httpx2.Response(200, text=text, headers={"x-request-id": "r"}))
    with pytest.raises(UpstreamError) as caught:
        server.model().generate(["a"])
    assert caught.value.status == 200
    assert len(caught.value.body) <= 2000


@pytest.mark.parametrize("content", [None, 3, {"text": "a"}])
def test_an_answer_without_text_is_an_upstream_error(content: object) -> None:
    server = Server(lambda request: chat(content, finish_reason="length"))
    with pytest.raises(UpstreamError, match="finish_reason 'length'"):
        server.model().generate(["a"])


def test_text_in_parts_is_joined() -> None:
    server = Server(lambda request: chat([{"type": "text", "text": "As"}, {"type": "text", "text": "tana"}]))
    assert server.model().generate(["a"]) == ["Astana"]


def test_one_failure_among_many_fails_the_call() -> None:
    def answer(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(400, text="bad") if b"p3" in request.content else echo(request)

    with pytest.raises(UpstreamError, match="400"):
        Server(answer).model().generate([f"p{i}" for i in range(6)])


def completions_only(request: httpx2.Request) -> httpx2.Response:
    if request.url.path.endswith("/chat/completions"):
        return httpx2.Response(404, text="no such route")
    return httpx2.Response(200, json={"choices": [{"text": " " + json.loads(request.content)["prompt"]}]})


def test_auto_falls_back_to_completions_and_stays_there() -> None:
    server = Server(completions_only)
    model = server.model(system="sys")
    assert model.generate(["a", "b"]) == ["sys\n\na", "sys\n\nb"]
    model.generate(["c"])
    routes = [request.url.path.removeprefix("/v1") for request in server.requests]
    assert routes == ["/chat/completions", "/completions", "/completions", "/completions"]


def test_auto_falls_back_where_the_model_has_no_chat_template() -> None:
    def answer(request: httpx2.Request) -> httpx2.Response:
        if request.url.path.endswith("/chat/completions"):
            return httpx2.Response(400, text="default chat template is no longer allowed")
        return completions_only(request)

    assert Server(answer).model().generate(["a"]) == ["a"]


def test_auto_tells_the_chat_routes_error_when_neither_is_there() -> None:
    server = Server(lambda request: httpx2.Response(404, text=request.url.path))
    with pytest.raises(UpstreamError, match="is the URL right") as caught:
        server.model().generate(["a"])
    assert caught.value.body == "/v1/chat/completions"


def test_chat_does_not_fall_back() -> None:
    with pytest.raises(UpstreamError, match="404"):
        Server(completions_only).model(api="chat").generate(["a"])


@pytest.mark.parametrize(
    ("url", "asked"),
    [
        ("http://test", "http://test/v1/chat/completions"),
        ("http://test/", "http://test/v1/chat/completions"),
        ("https://test/openai/v1/", "https://test/openai/v1/chat/completions"),
        ("http://test/v1/chat/completions", "http://test/v1/chat/completions"),
        ("http://test/x?api-version=2", "http://test/x/chat/completions?api-version=2"),
    ],
)
def test_the_url_may_be_given_in_several_forms(url: str, asked: str) -> None:
    server = Server(echo)
    server.model(url).generate(["a"])
    assert str(server.requests[0].url) == asked


def test_a_completions_url_tells_the_api() -> None:
    assert Server(completions_only).model("http://test/v1/completions").generate(["a"]) == ["a"]


@pytest.mark.parametrize(
    "url",
    [
        "ftp://test",
        "file:///etc/passwd",
        "test",
        "",
        "http://",
        "http://user:pw@test",
        "http://a:b",
        None,
        "http://a b/",
    ],
)
def test_other_urls_are_refused_without_repeating_a_password(url: Any) -> None:
    with pytest.raises(ConfigError) as caught:
        RemoteModel(url)
    assert "pw" not in str(caught.value)


def listing(*names: str) -> Handler:
    def answer(request: httpx2.Request) -> httpx2.Response:
        if request.url.path.endswith("/models"):
            return httpx2.Response(200, json={"data": [{"id": name} for name in names]})
        return echo(request)

    return answer


def test_the_only_model_is_taken_and_asked_for_once() -> None:
    server = Server(listing("only"))
    model = server.model(model=None)
    assert model.name == "http://test/v1"
    model.generate(["a"])
    model.generate(["b"])
    assert model.name == "only"
    assert [request.url.path for request in server.requests].count("/v1/models") == 1
    assert {body["model"] for body in server.bodies()} == {"only"}


@pytest.mark.parametrize("names", [(), ("one", "two")])
def test_several_models_or_none_must_be_chosen_from(names: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError, match=f"{len(names)} models") as caught:
        Server(listing(*names)).model(model=None).generate(["a"])
    assert caught.value.accepted == names


@pytest.mark.parametrize("listed", [{}, {"data": [{}]}, {"data": "x"}])
def test_a_nonsense_listing_is_an_upstream_error(listed: object) -> None:
    server = Server(lambda request: httpx2.Response(200, json=listed))
    with pytest.raises(UpstreamError, match="no list of models"):
        server.model(model=None).generate(["a"])


@pytest.mark.parametrize(
    "options",
    [
        {"api": "chats"},
        {"timeout": 0},
        {"retries": -1},
        {"concurrency": 0},
        {"max_tokens": 0},
        {"temperature": -1},
    ],
)
def test_unknown_values_are_config_errors(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        RemoteModel("http://test", **options)


def test_unusable_prompts_are_refused_before_anything_is_sent() -> None:
    server = Server(echo)
    with pytest.raises(EditError):
        server.model().generate(["a", ""])
    assert server.requests == []


@contextmanager
def loopback() -> Iterator[str]:
    """A real server that fails once and then echoes."""
    failed = threading.Event()

    class Echo(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            status = 200 if failed.is_set() else 503
            failed.set()
            text = f"{asked['messages'][-1]['content']} {self.headers['Authorization']}"
            body = json.dumps({"choices": [{"message": {"content": text}}]}).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Echo) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/v1"
        finally:
            server.shutdown()
            thread.join()


def test_it_talks_to_a_real_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with loopback() as url, RemoteModel(url, model="m", sleep=lambda _: None) as model:
        assert model.generate(["a", "ü", "c"]) == [f"{text} Bearer {KEY}" for text in ("a", "ü", "c")]


def test_nobody_listening_is_an_upstream_error() -> None:
    with loopback() as url:
        pass
    with RemoteModel(url, model="m", retries=1, sleep=lambda _: None) as model, pytest.raises(UpstreamError):
        model.generate(["a"])
