"""One end-to-end test a verb, and what the verbs promise beside it."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from inspect import signature
from pathlib import Path
from typing import Any

import pytest

from tiny_encoder import tiny_backbone, tiny_network

UK = "Who is the prime minister of the United Kingdom?"
Cli = Any


def test_add_stores_the_edit_with_its_terms(cli: Cli) -> None:
    added = cli.json(
        "add", UK, "Keir Starmer", "--id", "uk-pm", "--author", "ann", "--source", "https://gov.uk", "--note", "n",
        "--tag", "a", "--tag", "b", "--valid-from", "2024-07-05", "--expires", "2099-01-01T00:00:00+00:00",
        "--meta", "ticket=7",
    )  # fmt: skip
    assert added["changed"] and added["preflight"]["ok"]
    got = cli.json("get", "uk-pm")
    assert (got["target"], got["author"], got["source"], got["tags"]) == (
        "Keir Starmer",
        "ann",
        "https://gov.uk",
        ["a", "b"],
    )
    assert (
        got["meta"] == {"ticket": "7"} and got["expires"] == "2099-01-01T00:00:00+00:00" and got["state"] == "in force"
    )


def test_add_twice_adds_once(edited: Cli) -> None:
    assert not edited.json("add", UK, "Keir Starmer", "--id", "uk-pm")["changed"]
    assert len(edited.lines("history")) == 1


def test_add_refuses_a_contradiction_unless_forced(edited: Cli) -> None:
    refused = edited("add", UK, "Liz Truss", code=2)
    assert "contradicts uk-pm" in refused.stderr and "--force" in refused.stderr
    assert len(edited.lines("list")) == 1
    edited("add", UK, "Liz Truss", "--force")
    assert len(edited.lines("list")) == 2


def test_add_dry_run_stores_nothing(cli: Cli) -> None:
    assert cli.json("add", UK, "Keir Starmer", "--dry-run")["dry_run"]
    assert "nothing stored" in cli("add", UK, "Keir Starmer", "--dry-run").stdout
    assert cli.lines("list") == []


def test_add_without_check(edited: Cli) -> None:
    assert edited.json("add", UK, "Liz Truss", "--no-check")["preflight"] is None


def test_the_base_model_is_not_loaded_to_add_or_check(cli: Cli) -> None:
    cli("add", UK, "Keir Starmer", "--model", "/no/such/model")
    cli("check", "What is the capital of Mars?", "Olympus", "--model", "/no/such/model")
    assert cli("ask", UK, "--model", "/no/such/model").stdout == "Keir Starmer\n"
    cli("ask", "Good morning", "--model", "/no/such/model", code=4)


def test_several_are_changed_or_none(edited: Cli) -> None:
    edited("retract", "uk-pm", "no-such-edit", code=2)
    assert edited.json("get", "uk-pm")["state"] == "in force"


def test_an_utterance_needs_retell(cli: Cli) -> None:
    assert "retell" in cli("add", "Topic: jazz Sentiment: positive", "--utterance", code=2).stderr
    cli("add", "Topic: jazz Sentiment: positive", "--utterance", "--counterfactual", "retell")
    assert cli.json("list")["target"] == ""
    cli("add", "no target", code=2)
    cli("add", "a", "b", "--utterance", code=2)


def test_an_utterance_may_be_evidence_for_a_verifier(cli: Cli, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    folder = tiny_network(tmp_path / "claims", tiny_backbone(tmp_path / "backbone"), "pair")
    parts = ("--counterfactual", f"verifier:{folder}", "--runtime", "torch", "--model", "echo")
    cli("add", "The mill has six wheels", "--utterance", *parts)
    assert cli("ask", "The mill has six wheels indeed", *parts).stdout.strip() in ("True", "False")


def test_get_by_a_prefix_and_in_words(edited: Cli) -> None:
    shown = edited("get", "uk-p").stdout
    assert "Keir Starmer" in shown and "politics" in shown and "since 2024" in shown


def test_replace_keeps_what_is_not_named(edited: Cli) -> None:
    new = edited.json("replace", "uk-pm", "--target", "Someone Else", "--tag", "later")
    assert (new["kind"], new["target"], new["prompt"], new["author"], new["tags"]) == (
        "replace", "Someone Else", UK, "ann", ["later"],
    )  # fmt: skip
    assert new["preflight"]["contradictions"] == []
    assert edited.json("replace", "uk-pm", "--note", "only terms")["preflight"] is None


def test_retract_disable_enable_undo(edited: Cli) -> None:
    question = "Who is prime minister of the United Kingdom?"
    assert edited("ask", question).stdout == "Keir Starmer\n"
    for verb, back in (("disable", ("enable", "uk-pm")), ("retract", ("undo",))):
        assert edited.json(verb, "uk-pm", "--note", "why")["changed"]
        assert edited("ask", question).stdout == question + "\n"
        edited(*back)
        assert edited("ask", question).stdout == "Keir Starmer\n"
    assert "no change" in edited("enable", "uk-pm").stdout
    kinds = [line["kind"] for line in edited.lines("history", "uk-pm")]
    assert kinds == ["add", "disable", "enable", "retract", "add"]


def test_undo_several_and_never_another_spaces(edited: Cli) -> None:
    edited("add", "What is the capital of Mars?", "Olympus", "--space", "mars")
    assert "belongs to the space 'mars'" in edited("undo", "--space", "default", code=2).stderr
    assert len(edited.lines("undo", "-n", "2")) == 2
    assert edited.lines("list", "--every-space") == []


def test_list_filters_and_pages(edited: Cli) -> None:
    edited("add", "What is the capital of Mars?", "Olympus", "--id", "mars-capital", "--tag", "space")
    edited("add", "Unrelated words entirely", "yes", "--space", "other", "--id", "elsewhere")

    def ids(*options: str) -> list[str]:
        return [line["id"] for line in edited.lines("list", *options)]

    assert ids() == ["uk-pm", "mars-capital"]
    assert ids("--tag", "space") == ["mars-capital"] and ids("--author", "ann") == ["uk-pm"]
    assert ids("--text", "capital") == ["mars-capital"] and ids("--space", "other") == ["elsewhere"]
    assert ids("--limit", "1") == ["uk-pm"]
    assert ids("--limit", "1", "--after", "1") == ["mars-capital"]
    assert len(ids("--every-space")) == 3
    edited("retract", "uk-pm")
    assert "uk-pm" not in ids() and "uk-pm" in ids("--all")
    assert "retracted" in edited("list", "--all").stdout
    assert "--after" in edited("list", "--limit", "1").stdout


def test_search_by_words_and_by_meaning(edited: Cli) -> None:
    assert [line["id"] for line in edited.lines("search", "starmer")] == ["uk-pm"]
    [found] = edited.lines("search", "prime minister", "--meaning")
    assert found["id"] == "uk-pm" and 0 < found["score"] < 1
    assert "no edits" in edited("search", "nothing-like-it").stdout


def test_ask_tells_which_edit_answered_on_stderr_only(edited: Cli) -> None:
    answer = edited("ask", UK)
    assert answer.stdout == "Keir Starmer\n" and "uk-pm" in answer.stderr
    assert edited("ask", "Good morning").stderr == ""
    document = edited.json("ask", UK, "--why")
    assert document["edited"] and document["edit"]["id"] == "uk-pm" and document["why"]["base_answer"] == UK
    assert set(document) >= {"question", "answer", "score", "threshold", "runner_up", "nearest", "reason"}


def test_ask_reads_questions_from_stdin(edited: Cli) -> None:
    told = edited.lines("ask", "-", input=f"{UK}\n\nGood morning\n")
    assert [(line["answer"], line["edited"]) for line in told] == [("Keir Starmer", True), ("Good morning", False)]
    assert edited("ask", "-", input="").stdout == ""


def test_ask_interactively(cli: Cli) -> None:
    said = cli("ask", input="\n".join([
        "what is it", "/why", "/add 'tis that", "what is it", '/add "Who is she?" "Ann"', "Who is she?", "/list",
        "/undo", "Who is she?", "/nothing", "/help", "/add", "/quit", "never asked",
    ])).stdout  # fmt: skip
    assert "'tis that" in said and "Ann" in said and "retracted" in said and "/undo" in said
    assert "never asked" not in said
    assert [line["target"] for line in cli.lines("list")] == ["'tis that"]


def test_why_of_a_hit_and_of_a_miss(edited: Cli) -> None:
    hit = edited.json("why", UK)
    assert hit["edit"]["id"] == "uk-pm" and hit["margin"] == 0.5 and hit["base_answer"] == UK
    miss = edited("why", "Who is the king of Norway?").stdout
    assert "out of scope" in miss and "errata add" in miss or "misses by" in miss
    edited("disable", "uk-pm")
    off = edited.json("why", UK)
    assert off["edit"] is None and off["inactive"][0]["reason"] == "disabled"
    assert any("errata enable uk-pm" in advice for advice in off["advice"])


def test_history_checkout_and_diff(edited: Cli, tmp_path: Path) -> None:
    edited("replace", "uk-pm", "--target", "Someone Else")
    edited("add", "What is the capital of Mars?", "Olympus", "--id", "mars-capital")
    assert [line["revision"] for line in edited.lines("history")] == [1, 2, 3]
    assert [line["revision"] for line in edited.lines("history", "--after", "1", "--limit", "1")] == [2]
    assert [line["target"] for line in edited.lines("checkout", "1")] == ["Keir Starmer"]
    assert edited("checkout", "1", "--ask", UK).stdout == "Keir Starmer\n"
    assert edited("checkout", "0", "--ask", UK).stdout == UK + "\n"
    assert edited("checkout", "2999-01-01", "--ask", UK).stdout == "Someone Else\n"
    assert edited.json("checkout", "1", "--export", str(tmp_path / "then.jsonl"))["exported"] == 1
    difference = edited.json("diff", "1", "3")
    assert [one["id"] for one in difference["added"]] == ["mars-capital"]
    assert difference["changed"][0]["after"]["target"] == "Someone Else"
    assert "Olympus" in edited("diff", "1").stdout
    assert edited("diff", "3", "3").stdout == "no difference\n"
    edited("checkout", "99", code=2)
    edited("checkout", "soon", code=2)


@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_export_and_import_bring_everything_along(edited: Cli, tmp_path: Path, form: str) -> None:
    file = str(tmp_path / f"edits.{form}")
    assert edited.json("export", file)["exported"] == 1
    before = edited.json("get", "uk-pm")
    edited.memory = tmp_path / "other.db"
    assert edited.json("import", file)["added"] == 1
    after = edited.json("get", "uk-pm")
    keys = ("id", "prompt", "target", "tags", "author", "note", "expires")
    assert {key: before[key] for key in keys} == {key: after[key] for key in keys}
    assert edited.json("import", file)["unchanged"] == 1
    assert edited("ask", UK).stdout == "Keir Starmer\n"


def test_export_to_stdout_can_be_imported(edited: Cli, tmp_path: Path) -> None:
    file = tmp_path / "edits.jsonl"
    file.write_text(edited("export").stdout)
    assert edited.json("import", str(file))["unchanged"] == 1


def test_import_reports_bad_rows(cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "edits.jsonl"
    file.write_text('{"prompt": "a question", "target": "b"}\n{"prompt": ""}\nnot json\n')
    assert cli.json("import", str(file), "--on-bad", "abort", code=1)["aborted"]
    assert cli.lines("list") == []
    told = cli("import", str(file), code=1)
    assert f"{file}:2:" in told.stderr and f"{file}:3:" in told.stderr and "1 added" in told.stdout
    cli("import", str(tmp_path / "missing.jsonl"), code=2)


def test_check_one_and_a_file(edited: Cli, tmp_path: Path) -> None:
    assert edited.json("check", "What is the capital of Mars?", "Olympus")["ok"]
    found = edited.json("check", UK, "Liz Truss", code=1)
    assert [one["id"] for one in found["contradictions"]] == ["uk-pm"] and not found["ok"]
    file = tmp_path / "edits.jsonl"
    file.write_text(
        '{"prompt": "Which of the four seasons do you like best?", "target": "a"}\n'
        '{"prompt": "which of the four seasons do you like best", "target": "b"}\n'
    )
    first, second = edited.lines("check", str(file), code=1)
    assert first["ok"] and second["contradictions"]
    assert "2 edits checked, 1" in edited("check", str(file), code=1).stdout
    assert len(edited.lines("list")) == 1
    edited("check", "neither target nor file", code=2)


def test_purge_asks_and_erases(edited: Cli) -> None:
    edited("purge", "uk-pm", input="n\n", code=130)
    assert "Starmer" in edited("get", "uk-pm").stdout
    edited("purge", "uk-pm", input="y\n")
    assert edited.json("get", "uk-pm")["state"] == "purged"
    assert b"Starmer" not in edited.memory.read_bytes()
    assert not edited.json("purge", "uk-pm", "--yes")["changed"]


def test_spaces_are_kept_apart(edited: Cli) -> None:
    assert edited("ask", UK, "--space", "other").stdout == UK + "\n"
    for verb in ("get", "retract", "disable"):
        assert "is in the space 'default'" in edited(verb, "uk-pm", "--space", "other", code=2).stderr


def test_the_package_is_the_command_line_too() -> None:
    said = subprocess.run([sys.executable, "-m", "errata", "--version"], capture_output=True, text=True, check=True)
    assert said.stdout.startswith("errata ") and said.stderr == ""


def test_version_and_doctor(edited: Cli) -> None:
    assert "errata" in edited.json("version")
    assert edited("--version").stdout.startswith("errata ")
    report = edited.json("doctor", code=_doctors_code())
    checks = {finding["check"]: finding["ok"] for finding in report["findings"]}
    assert checks["memory"] and checks["memory: log"] and checks["memory: vectors"]
    edited("doctor", "--repair", code=_doctors_code())


def _doctors_code() -> int:
    from errata import zoo

    return 0 if {"mini", "dual", "pair"} <= set(zoo.names()) else 1


def test_doctor_finds_a_damaged_memory(edited: Cli) -> None:
    edited.memory.write_bytes(b"no database at all" * 100)
    for file in edited.memory.parent.glob("errata.db-*"):
        file.unlink()
    findings = edited.json("doctor", code=1)["findings"]
    assert any(finding["check"] == "memory" and not finding["ok"] for finding in findings)


def test_train_evaluate_and_bench_call_what_they_should(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked: dict[str, Any] = {}

    def train_part(part: str, problem: str, **options: Any) -> dict[str, Any]:
        asked.update(part=part, problem=problem, **options)
        return {"exact_match": 0.5}

    monkeypatch.setattr("errata.training.making.train_part", train_part)
    assert cli.json("train", "scope", "--out", str(tmp_path), "--install") == {"exact_match": 0.5}
    assert asked["part"] == "scope" and asked["install"] and asked["out"] == tmp_path
    assert (asked["problem"], asked["preset"]) == ("", "mini")
    cli("train", "counterfactual", "qa_hard", "--preset", "paper")
    assert (asked["problem"], asked["preset"]) == ("qa_hard", "paper")
    assert asked["out"] == Path("out") / "counterfactual-qa_hard"
    cli("train", "editor", "mend", "qa")
    assert (asked["part"], asked["problem"], asked["out"]) == ("mend", "qa", Path("out") / "mend-qa")
    assert "no editor 'men' to train" in cli("train", "editor", "men", "qa", code=2).stderr
    assert "for one problem, not for qa and fact_check" in cli("train", "scope", "qa", "fact_check", code=2).stderr
    monkeypatch.setattr("errata.experiments.bench.bench_route", lambda *, edits=1, runtime, progress: {"edits": edits})
    assert cli.json("bench", "route", "--edits", "7") == {"edits": 7}
    assert "no option --texts" in cli("bench", "route", "--texts", "7", code=2).stderr
    cli("evaluate", "no-such-problem", code=2)


def test_evaluate_takes_the_presets_model_unless_one_is_named(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, Any] = {}

    class Told:
        details = {"components": [{"side": "in", "hard": True, "count": 3, "scope": 0.5, "answer": None}]}

        def to_json(self) -> dict[str, Any]:
            return {"es": 0.5, "by_kind": {}}

    def evaluate_problem(problem: str, **options: Any) -> Told:
        asked.update(options, problem=problem)
        return Told()

    monkeypatch.setattr("errata.experiments.evaluate.evaluate_problem", evaluate_problem)
    assert cli.json("evaluate", "qa", "--edits", "10", "--seeds", "3", "--preset", "paper") == {
        "es": 0.5,
        "by_kind": {},
    }
    assert (asked["edits"], asked["seeds"], asked["preset"]) == ("10", 3, "paper")
    assert asked["model"] == "echo", "ERRATA_MODEL names it"
    monkeypatch.setattr(cli, "environment", {**cli.environment, "ERRATA_MODEL": None})
    assert "0.5" in cli("evaluate", "qa", "--components").stdout
    assert (asked["model"], asked["preset"], asked["components"]) == (None, "mini", True)
    cli("evaluate", "qa", "--model", "mini", "--editor", "ft", "--set", "lr=0.5", "--set", "weights=runs/x")
    assert (asked["editor"], asked["settings"]) == ("ft", {"lr": 0.5, "weights": "runs/x"})
    assert "--set takes KEY=VALUE" in cli("evaluate", "qa", "--set", "lr", code=2).stderr
    assert asked["model"] == "mini"


def test_every_bench_is_offered() -> None:
    from errata.cli.train import BENCHES

    for module in set(BENCHES.values()):
        found = vars(import_module(f"errata.{module}"))
        offered = {f"bench_{name}" for name, where in BENCHES.items() if where == module}
        assert offered == {name for name in found if name.startswith("bench_")}
        assert all("runtime" in signature(found[name]).parameters for name in offered)


def test_migrate_copies_a_memory_and_refuses_one_that_is_not_empty(edited: Cli, tmp_path: Path) -> None:
    edited("retract", "uk-pm")
    target = str(tmp_path / "new.db")
    told = edited.json("migrate", str(edited.memory), target)
    assert told == {"from": str(edited.memory), "to": target, "revisions": 2, "vectors": 1, "ledger": None}
    assert edited.lines("history") == edited.lines("history", "--memory", target)
    assert "not empty" in edited("migrate", str(edited.memory), target, code=3).stderr
    edited("migrate", str(tmp_path / "none.db"), target, code=3)


def test_a_memory_in_postgresql_serves_every_verb(cli: Cli, postgres_url: str, tmp_path: Path) -> None:
    cli.memory = postgres_url  # type: ignore[assignment]
    cli("add", UK, "Keir Starmer", "--id", "uk-pm", "--author", "ann")
    assert cli("ask", UK).stdout == "Keir Starmer\n"
    found = cli.json("doctor", code=cli("doctor").exit_code)["findings"]
    assert [one for one in found if one["check"].startswith("memory") and not one["ok"]] == []
    assert "1 revisions" in cli("migrate", postgres_url, str(tmp_path / "back.db")).stdout
    assert cli.lines("history") == cli.lines("history", "--memory", str(tmp_path / "back.db"))
    cli("retract", "uk-pm")
    assert len(cli.lines("diff", "1")[0]["removed"]) == 1
