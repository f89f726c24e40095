"""Questions in prompts that programs write: found where marks tell them, left alone where not."""

from __future__ import annotations

import json

import pytest

from errata.edit import MAX_TEXT
from errata.service.asked import read_chat, read_completions, read_responses
from errata.service.marked import marked

ASKED = "What is the capital of Kesh?"
PASSAGE = "Kesh lies on the coast. Its ports are old."
FOUND = [
    f"Context: {PASSAGE}\n\nQuestion: {ASKED}\nAnswer:",
    f"Answer the question based on the context below.\n\nContext:\n{PASSAGE}\n\n---\n\nQuestion: {ASKED}",
    f"Use the following pieces of context to answer.\n\n{PASSAGE}\n\nQuestion: {ASKED}\nHelpful Answer:",
    f"Context information is below.\n---\n{PASSAGE}\n---\nGiven it, answer the query.\nQuery: {ASKED}\nAnswer: ",
    f"<context>\n{PASSAGE}\n</context>\n\n<question>{ASKED}</question>\nReply in one sentence.",
    f"You are a bot.\n\n### Context:\n{PASSAGE}\n\n### Question:\n{ASKED}\n\n### Answer:\n",
    f"**Sources:** {PASSAGE}\n**User question:** {ASKED}\n\nCite the sources you use.",
    f"Document 1: {PASSAGE}\nDocument 2: {PASSAGE}\nUser query: {ASKED}",
    f"Q: Who wrote Emma?\nA: Jane Austen\n\nQ: {ASKED}\nA:",
    f"Retrieved passages (3):\n{PASSAGE}\nCustomer's question: {ASKED}\nYour response:",
    f"[Search results]: {PASSAGE}\n[Question]: {ASKED}",
    f"<documents><document>{PASSAGE}</document></documents>\n<user_query>\n{ASKED}\n</user_query>",
]
WHOLE = [
    ASKED,
    f"Question: {ASKED}",
    f"Translate the following into French.\nQuestion: {ASKED}",
    f"How many words has this?\n{ASKED}",
    f"Context: {PASSAGE}\nSummarise the context.",
    f"Context: {PASSAGE}\nQuestion:\n",
    "The question: is it worth it? My answer: no.",
    "",
]


@pytest.mark.parametrize("prompt", FOUND)
def test_a_marked_question_is_found_and_nothing_around_it_is_lost(prompt: str) -> None:
    found = marked(prompt)
    assert found.text == ASKED
    assert found.before + found.text + found.after == prompt


@pytest.mark.parametrize("prompt", WHOLE)
def test_what_is_not_marked_is_taken_whole(prompt: str) -> None:
    found = marked(prompt)
    assert (found.before, found.text, found.after) == ("", prompt, "")


def test_a_request_is_asked_by_its_question_and_retold_within_its_frame() -> None:
    prompt = FOUND[0]
    chat = {"messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": prompt}]}
    completions, responses = {"prompt": prompt}, {"input": prompt}
    for asked in (read_chat(chat), read_completions(completions), read_responses(responses)):
        assert (asked.inputs, asked.how) == ((ASKED,), "marked")
        assert asked.framed(["Told."]) == [prompt.replace(ASKED, "Told.")]
    told = json.loads(read_chat(chat).retold(["Told."]))["messages"]
    assert told == [chat["messages"][0], {"role": "user", "content": prompt.replace(ASKED, "Told.")}]
    assert "no valid text" in read_completions({"prompt": [prompt, "a\x00b"]}).declined
    several = read_completions({"prompt": [prompt, "Hello?"]})
    assert several.inputs == (ASKED, "Hello?")
    assert several.framed(["A", "B"]) == [prompt.replace(ASKED, "A"), "B"]


def test_a_long_prompt_is_no_obstacle_where_its_question_is_short() -> None:
    prompt = f"Context: {PASSAGE * MAX_TEXT}\nQuestion: {ASKED}\nAnswer:"
    assert read_completions({"prompt": prompt}).inputs == (ASKED,)
    assert read_chat({"messages": [{"role": "user", "content": prompt}]}).inputs == (ASKED,)
    assert "longer than" in read_chat({"messages": [{"role": "user", "content": "x" * (MAX_TEXT + 1)}]}).declined


def test_a_follow_up_within_a_frame_is_made_whole() -> None:
    def framed(text: str) -> str:
        return f"Context: {PASSAGE}\nQuestion: {text}\nAnswer:"

    told = "Port Avel is the capital of Kesh."
    turns = [("user", framed(ASKED)), ("assistant", told), ("user", framed("And Norway?"))]
    asked = read_chat({"messages": [{"role": role, "content": text} for role, text in turns]})
    assert (asked.inputs, asked.how) == (("What is the capital of Norway?",), "resolved")
    assert asked.framed(asked.inputs) == [framed("What is the capital of Norway?")]


@pytest.mark.timeout(60)  # in time that grows with its square, one of these would take minutes
def test_marks_are_looked_for_in_a_time_that_grows_with_the_text() -> None:
    for unit in (
        "Context: ",
        "question ",
        "\n>",
        "<context ",
        "<question>",
        "<context><question>",
        "the the ",
        "Q: a\nA: b\n",
        "[ ",
        "_",
    ):
        assert marked(unit * 100_000).text
