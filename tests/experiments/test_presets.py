"""The published bases' road, walked with tiny models of the same architectures saved to disk."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

import tiny
from errata.edit import Edit
from errata.errors import ConfigError, ModelError
from errata.experiments import presets
from errata.experiments.evaluate import PROBLEMS, evaluate_problem
from errata.experiments.presets import BASES, PUBLISHED, Base, load_base, preset_model
from errata.models.local import LocalModel
from errata.problems.cases import EditCase, Labelled, Problem, Unlabelled
from overlap import OverlapScope, SaysTarget

BUILD: dict[str, Callable[[Path], Path]] = {
    "t5-large-ssm-nq": tiny.tiny_t5,
    "blenderbot-90M": tiny.tiny_blenderbot,
    "bart-base": tiny.tiny_bart,
    "distilgpt2": tiny.tiny_gpt2,
}
KINDS = {"t5-large-ssm-nq": "seq2seq", "blenderbot-90M": "seq2seq", "bart-base": "seq2seq", "distilgpt2": "causal"}
PROBLEM = Problem(
    name="qa",
    split="test",
    cases=(
        EditCase(
            Edit(prompt="what is the capital of kazakhstan", target="Astana", id="k"),
            (Labelled("so what is the capital of kazakhstan", "Astana", "rephrase"),),
        ),
    ),
    shared=(Unlabelled("who plays for bordeaux", "nq"),),
)


@pytest.mark.parametrize("name", BUILD)
def test_a_published_base_answers(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = BUILD[name](tmp_path / "tiny")
    monkeypatch.setitem(BASES, name, replace(BASES[name], name=str(folder)))
    monkeypatch.setitem(PUBLISHED, "qa", name)
    model = load_base(name)
    assert isinstance(model, LocalModel) and model.kind == KINDS[name]
    report = evaluate_problem(
        PROBLEM, preset="paper", scope=OverlapScope(), counterfactual=SaysTarget(), rows=tmp_path / "rows.jsonl"
    )
    assert (report.model, report.config["preset"], report.es, report.dd) == ("tiny", "paper", 1.0, 0.0)
    assert (report.config["misses_checked"], report.config["misses_changed"]) == (1, 0)


def test_a_model_that_is_named_comes_before_the_preset(tmp_path: Path) -> None:
    report = evaluate_problem(
        PROBLEM, model="echo", preset="paper", scope=OverlapScope(), counterfactual=SaysTarget(),
        rows=tmp_path / "rows.jsonl",
    )  # fmt: skip
    assert (report.model, report.config["preset"]) == ("echo", None)


def test_every_problem_has_a_published_base() -> None:
    assert set(PROBLEMS) <= set(PUBLISHED)
    assert set(PUBLISHED.values()) <= set(BASES)
    assert {base.name for base in BASES.values()} == {
        "google/t5-large-ssm-nq",
        "bert-base-uncased",
        "facebook/blenderbot_small-90M",
        "facebook/bart-base",
        "distilgpt2",
    }
    pinned = [base.revision for base in BASES.values() if base.revision]
    assert pinned and all(len(revision) == 40 for revision in pinned)


def test_the_revision_reaches_the_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, str] = {}
    monkeypatch.setattr(presets, "load_model", lambda name, **options: asked.update(options, name=name))
    load_base("bart-base")
    assert asked == {"name": "facebook/bart-base", "revision": BASES["bart-base"].revision}


def test_wrong_names_are_refused() -> None:
    with pytest.raises(ConfigError, match="accepted: t5-large-ssm-nq"):
        load_base("t5")
    with pytest.raises(ConfigError, match="accepted: mini, paper"):
        preset_model("maxi", "qa")
    with pytest.raises(ConfigError, match="no base is published for 'made_up'"):
        preset_model("paper", "made_up")


def test_a_classifier_of_claims(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tiny.tiny_bert_classifier(tmp_path / "bert")
    monkeypatch.setitem(BASES, "bert-fever", Base(str(folder), kind="claims"))
    said = preset_model("paper", "fact_check").generate(["hello world", "true"])
    assert len(said) == 2 and set(said) <= {"True", "False"}


def test_a_base_without_its_classifier_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing there, and an encoder whose labels say nothing, as a bare BERT's do."""
    bare = tiny.tiny_bert_classifier(tmp_path / "bare")
    config = json.loads((bare / "config.json").read_text())
    labels = {"0": "LABEL_0", "1": "LABEL_1"}
    config |= {"id2label": labels, "label2id": {label: int(at) for at, label in labels.items()}}
    (bare / "config.json").write_text(json.dumps(config))
    for folder in (tmp_path, bare):
        monkeypatch.setitem(BASES, "bert-fever", replace(BASES["bert-fever"], name=str(folder), revision=None))
        with pytest.raises(ModelError, match="fine-tune it on FEVER"):
            load_base("bert-fever")
