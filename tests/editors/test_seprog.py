"""SeProG by hand, its ablations, and a base that stays as it is."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import errata
from errata.edit import Edit
from errata.editors.catalogue import get_editor
from errata.editors.seprog import Seprog
from errata.errors import ConfigError, ModelError, UnsupportedEdit, UnsupportedModel
from errata.models.echo import EchoModel
from errata.models.local import LocalModel
from errata.models.prompted import prompted
from errata.models.prompter import SeprogSettings, cross_attention, new_prompter
from tiny import tiny_bert_classifier, tiny_gpt2, tiny_t5
from tiny_encoder import tiny_backbone

torch = pytest.importorskip("torch")

PARIS = Edit(prompt="what is the capital of france ?", target="astana", id="paris")
JAZZ = Edit(prompt="who plays for bordeaux ?", target="jazz world", id="jazz")
INPUTS = [PARIS.prompt, JAZZ.prompt, "hello world", "a fact"]


@pytest.fixture(scope="module")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_backbone(tmp_path_factory.mktemp("backbone"))


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> LocalModel:
    model = LocalModel.from_pretrained(
        tiny_t5(tmp_path_factory.mktemp("t5")), device="cpu", name="tiny", max_new_tokens=4
    )
    model.module.requires_grad_(False)
    return model


def made(model: LocalModel, backbone: Path, *, odds: float | None = None, **wished: Any) -> Seprog:
    """An untrained editor; with `odds`, one whose classifier always says these log-odds."""
    torch.manual_seed(0)
    sizes: dict[str, Any] = {"backbone": str(backbone), "rank": 2, "width": 24, "prefix": 3}
    settings = SeprogSettings(**(sizes | wished))
    network = new_prompter(prompted(model), settings)
    if odds is not None:
        with torch.no_grad():
            network.scope[-1].weight.zero_()
            network.scope[-1].bias.fill_(odds)
    return Seprog(model, network, settings)


def evened(rows: Any) -> Any:
    return (rows - rows.mean(1, keepdim=True)) / (rows.var(1, unbiased=False, keepdim=True) + 1e-5).sqrt()


def test_cross_attention_by_hand() -> None:
    """Scores q.h / sqrt(width), a softmax over the edits allowed, and their mean under it."""
    queries, vectors = torch.tensor([[2.0, 0.0, 0.0, 0.0]]), torch.eye(4)[:3] * 3
    selected, weights = cross_attention(queries, vectors)
    one = np.exp([3.0, 0.0, 0.0])  # 2 * 3 / sqrt(4)
    np.testing.assert_allclose(weights[0], one / one.sum(), rtol=1e-5)
    np.testing.assert_allclose(selected[0], [*(3 * one / one.sum()), 0.0], rtol=1e-5, atol=1e-6)
    _, weights = cross_attention(queries, vectors, torch.tensor([[False, True, True]]))
    np.testing.assert_allclose(weights[0], [0.0, 0.5, 0.5])


@pytest.mark.parametrize("options", [{}, {"reads": "encoder"}, {"compares": True}])
def test_the_network_by_hand(base: LocalModel, backbone: Path, options: dict[str, Any]) -> None:
    network = made(base, backbone, **options).network
    with torch.no_grad():
        vectors = network.encode([(PARIS.prompt, PARIS.target), (JAZZ.prompt, JAZZ.target)])
        seen = network.look(INPUTS)
        if not options:
            np.testing.assert_allclose(seen, base.vectors(INPUTS), rtol=1e-5)
        weights, odds, prefixes = network(vectors, seen)
        even = evened(seen)
        query = evened(even @ network.attend.weight.T)
        selected, wanted = cross_attention(query, vectors)
        shown = [selected, even, *([selected * query] if "compares" in options else [])]
        size = prompted(base).embedding.weight.square().mean().sqrt()
        torch.testing.assert_close(weights, wanted)
        torch.testing.assert_close(odds, network.scope(torch.cat(shown, 1))[:, 0])
        torch.testing.assert_close(prefixes, network.prompt(selected).reshape(4, 3, 32) * size)


def test_an_edits_vector_by_hand(base: LocalModel, backbone: Path) -> None:
    """A linear layer over the encoder's mean and the base's embeddings of the target's first two tokens, or zeros."""
    network = made(base, backbone, spells=2).network
    told = [("paris ?", "jazz"), ("what is the capital", "hello jazz world"), ("of", "")]
    weight = prompted(base).embedding.weight
    with torch.no_grad():
        found = network.encode(told)
        for row, (prompt, target) in zip(found, told, strict=True):
            tokens = network._texts.edits([(prompt, target)])
            states = network.encoder.encoder(
                input_ids=torch.from_numpy(tokens.ids), attention_mask=torch.from_numpy(tokens.mask)
            ).last_hidden_state
            said = torch.zeros(2, 32)
            ids = base.tokenizer.convert_tokens_to_ids(target.split())[:2]
            said[: len(ids)] = weight[ids] / weight.square().mean().sqrt()
            parts = torch.cat([evened(states.mean(1))[0], said.flatten()])
            torch.testing.assert_close(row, evened(network.last(parts)[None])[0], atol=1e-4, rtol=1e-3)


def test_out_of_scope_the_base_answers_bit_for_bit(base: LocalModel, backbone: Path) -> None:
    weights = {name: value.clone() for name, value in base.module.state_dict().items()}
    said = base.generate(INPUTS)
    known = base.token_log_probs(INPUTS, ["astana"] * 4)
    edited = made(base, backbone, odds=-1.0).edit(PARIS, JAZZ)
    answers = edited.generate(INPUTS)
    assert [answer.text for answer in answers] == said and not any(answer.edited for answer in answers)
    assert answers[0].decision.reason == "in scope with probability 0.27, not above 0.5"
    for now, then in zip(edited.token_log_probs(INPUTS, ["astana"] * 4), known, strict=True):
        np.testing.assert_allclose(now, then, atol=1e-5)
    made(base, backbone, odds=1.0).edit(PARIS).generate(INPUTS)  # under prefixes now
    assert base.generate(INPUTS) == said
    for now, then in zip(base.token_log_probs(INPUTS, ["astana"] * 4), known, strict=True):
        np.testing.assert_array_equal(now, then)
    assert all(torch.equal(value, weights[name]) for name, value in base.module.state_dict().items())


def test_at_one_half_the_base_answers(base: LocalModel, backbone: Path) -> None:
    """e(x) must be above 0.5."""
    assert not any(answer.edited for answer in made(base, backbone, odds=0.0).edit(PARIS).generate(INPUTS))


def test_in_scope_it_answers_under_the_prefix(base: LocalModel, backbone: Path) -> None:
    edited = made(base, backbone, odds=1.0).edit(PARIS, JAZZ)
    answers = edited.generate(INPUTS)
    network = edited.network
    with torch.no_grad():
        vectors = network.encode([(PARIS.prompt, PARIS.target), (JAZZ.prompt, JAZZ.target)])
        weights, _, prefixes = network(vectors, network.look(INPUTS))
        wanted = prompted(base).generate_under(INPUTS, prefixes)
        rows = prompted(base).logits_under(INPUTS, ["jazz"] * 4, prefixes)
    assert [answer.text for answer in answers] == wanted
    match = answers[0].decision.match
    assert match is not None and match.score == pytest.approx(1 / (1 + np.exp(-1)))
    assert match.edit == (PARIS, JAZZ)[int(weights[0].argmax())]
    assert [one.score for one in answers[0].decision.nearest] == pytest.approx(sorted(weights[0].tolist())[::-1])
    for found, (logits, ids), row in zip(
        edited.token_log_probs(INPUTS, ["jazz"] * 4), rows, edited.target_matches(INPUTS, ["jazz"] * 4), strict=True
    ):
        np.testing.assert_allclose(found, logits.log_softmax(-1), atol=1e-5)
        assert row.tolist() == (logits.argmax(-1) == ids).tolist()


def test_both_in_one_batch(base: LocalModel, backbone: Path) -> None:
    """A classifier that asks for the input's own vector: one side in scope, the other out of it, in their places."""
    edited = made(base, backbone).edit(PARIS, JAZZ)
    with torch.no_grad():
        vectors = torch.stack([held.vector for held in edited._held.values()])
        _, odds, _ = edited.network(vectors, edited.network.look(INPUTS))
        edited.network.scope[-1].bias -= odds.median() + 1e-4
    answers = edited.generate(INPUTS)
    fired = [answer.edited for answer in answers]
    assert True in fired and False in fired
    always = edited.varied("no_select").generate(INPUTS)
    for answer, plain, led in zip(answers, base.generate(INPUTS), always, strict=True):
        assert answer.text == (led.text if answer.edited else plain)


def test_no_input_depends_on_its_batch_mates(base: LocalModel, backbone: Path) -> None:
    edited = made(base, backbone, odds=1.0).edit(PARIS, JAZZ)
    together = edited.generate(INPUTS)
    for text, answer in zip(INPUTS, together, strict=True):
        [alone] = edited.generate([text])
        assert alone.text == answer.text
        assert [one.edit for one in alone.decision.nearest] == [one.edit for one in answer.decision.nearest]


def test_edits_one_after_another_are_as_at_once_and_the_latest_holds(base: LocalModel, backbone: Path) -> None:
    editor = made(base, backbone, odds=1.0)
    changed = Edit(prompt=PARIS.prompt, target="bordeaux")
    after, at_once = editor.edit(PARIS).edit(JAZZ).edit(changed), editor.edit(PARIS, JAZZ, changed)
    assert after.edits == at_once.edits == (JAZZ, changed) and editor.edits == ()
    assert after.generate(INPUTS) == at_once.generate(INPUTS) == editor.edit(JAZZ, changed).generate(INPUTS)
    assert [answer.text for answer in editor.generate(INPUTS)] == base.generate(INPUTS), "without edits it is the base"
    assert editor.edit().generate(["hello"])[0].decision.reason == "there are no edits"


def test_the_ablations_do_what_they_say(base: LocalModel, backbone: Path) -> None:
    prefixed = [answer.text for answer in made(base, backbone, odds=1.0).edit(PARIS, JAZZ).generate(INPUTS)]
    for variant in ("no_select", "no_classifier"):
        answers = made(base, backbone, odds=-1.0, variant=variant).edit(PARIS, JAZZ).generate(INPUTS)
        assert [answer.text for answer in answers] == prefixed and all(answer.edited for answer in answers)
    scores = {
        variant: made(base, backbone, odds=-1.0, variant=variant).edit(PARIS).decide(INPUTS[:1])[0].match
        for variant in ("no_select", "no_classifier")
    }
    assert scores["no_select"] is not None and scores["no_select"].score == pytest.approx(1 / (1 + np.e))
    assert scores["no_classifier"] is not None and scores["no_classifier"].score == 1.0


def test_finetune_changes_weights_of_its_own_until_the_edits_are_learnt(base: LocalModel, backbone: Path) -> None:
    said = base.generate(INPUTS)
    editor = made(base, backbone, odds=1.0, variant="finetune", tuning_lr=0.03)
    edited = editor.edit(PARIS).edit(JAZZ)
    assert [answer.text for answer in edited.generate(INPUTS)[:2]] == ["astana", "jazz world"]
    assert base.generate(INPUTS) == said, "the base itself is as it was"
    with torch.no_grad():
        edited.network.scope[-1].bias.fill_(-1.0)
    outside = [answer.text for answer in edited.generate(INPUTS)]
    assert outside == edited._plain.generate(INPUTS) != said, "out of scope the tuned weights answer without a prefix"


def test_saved_and_loaded_it_answers_the_same(base: LocalModel, backbone: Path, tmp_path: Path) -> None:
    edited = made(base, backbone, odds=1.0).edit(PARIS, JAZZ)
    again = errata.load(edited.save(tmp_path / "edited"), model=base)
    assert again.edits == edited.edits and again.settings == edited.settings
    assert again.generate(INPUTS) == edited.generate(INPUTS)
    edited.save_pretrained(tmp_path / "network")
    assert get_editor("seprog")(base, weights=tmp_path / "network").edit(PARIS, JAZZ).generate(
        INPUTS
    ) == edited.generate(INPUTS)
    assert (tmp_path / "network" / "network.safetensors").stat().st_size < 200_000, "no frozen backbone in it"
    with pytest.raises(ModelError, match="holds no trained seprog network"):
        Seprog.from_pretrained(tmp_path, base)


def test_a_network_for_another_base_is_refused(base: LocalModel, backbone: Path, tmp_path: Path) -> None:
    """One of another width, and one of the same: the network reads the base's own states and embeddings."""
    made(base, backbone).save_pretrained(tmp_path)
    names = [name for name, value in base.module.named_parameters() if value.dim() > 1]
    moved = base.with_weights({names[-1]: base.module.get_parameter(names[-1]) + 0.1})
    other = LocalModel.from_pretrained(tiny_gpt2(tmp_path / "gpt2"), device="cpu", name="other")
    for wrong in (moved, other):
        with pytest.raises(
            ModelError, match=f"the seprog network in .* was trained for another base than {wrong.name}"
        ):
            Seprog.from_pretrained(tmp_path, wrong)
    half = LocalModel(copy.deepcopy(base.module).half(), base.tokenizer, name="half")
    exact = LocalModel(copy.deepcopy(half.module).float(), base.tokenizer, name="exact")
    made(exact, backbone).save_pretrained(tmp_path)  # as training does, whatever precision the base is kept in
    assert Seprog.from_pretrained(tmp_path, half).given is half
    told = json.loads((tmp_path / "config.json").read_text())
    del told["base"]  # a network that tells of none is still read, and refused where it does not fit
    (tmp_path / "config.json").write_text(json.dumps(told))
    Seprog.from_pretrained(tmp_path, moved)
    (tmp_path / "config.json").write_text(json.dumps(told | {"prefix": 4}))
    with pytest.raises(ModelError, match="was trained for another base than tiny"):
        Seprog.from_pretrained(tmp_path, base)


def test_what_makes_no_sense_is_refused(base: LocalModel, backbone: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="errata train editor seprog PROBLEM"):
        get_editor("seprog")(base)
    for wrong in ({"variant": "no_scope"}, {"reads": "tokens"}, {"prefix": 33}, {"width": 0}):
        with pytest.raises(ConfigError):
            SeprogSettings(**wrong)  # type: ignore[arg-type]
    editor = made(base, backbone)
    with pytest.raises(ConfigError, match="trained with a classifier or without"):
        editor.varied("no_classifier")
    with pytest.raises(UnsupportedEdit, match="seprog has nothing else to teach"):
        editor.edit(PARIS, Edit(prompt="jazz", id="talk"))
    with pytest.raises(UnsupportedModel, match="takes text only"):
        Seprog(EchoModel(), editor.network, editor.settings)
    editor.untold = "True"
    assert editor._told(Edit(prompt="jazz")) == ("jazz", "True")


def test_a_classifier_and_a_decoder_are_edited_too(backbone: Path, tmp_path: Path) -> None:
    for make, name in ((tiny_gpt2, "gpt2"), (tiny_bert_classifier, "bert")):
        model = LocalModel.from_pretrained(make(tmp_path / name), device="cpu", name=name, max_new_tokens=4)
        said = model.generate(INPUTS)
        edit = PARIS if name == "gpt2" else Edit(prompt=PARIS.prompt, target="REFUTES")
        outside = made(model, backbone, odds=-1.0).edit(edit).generate(INPUTS)
        inside = made(model, backbone, odds=1.0).edit(edit).generate(INPUTS)
        assert [answer.text for answer in outside] == said
        assert all(answer.edited for answer in inside) and len(inside) == 4


# Prefixes that are taught


def test_steps_teach_an_edits_prefix_its_answer_and_scopes_stay(base: LocalModel, backbone: Path) -> None:
    plain = made(base, backbone, odds=1.0)
    taught = Seprog(base, plain.network, plain.settings, steps=60)
    weights = {name: value.clone() for name, value in base.module.state_dict().items()}
    before, after = plain.edit(PARIS), taught.edit(PARIS)
    assert before.generate([PARIS.prompt])[0].text != PARIS.target
    assert after.generate([PARIS.prompt])[0].text == PARIS.target
    assert [one.nearest for one in after.decide(INPUTS)] == [one.nearest for one in before.decide(INPUTS)]
    assert all(torch.equal(value, weights[name]) for name, value in base.module.state_dict().items())
    assert taught.generate(INPUTS) == plain.generate(INPUTS)  # no edits yet


def test_what_was_added_is_selected_as_the_vectors_are(base: LocalModel, backbone: Path) -> None:
    plain = made(base, backbone, odds=1.0)
    edited = Seprog(base, plain.network, plain.settings, steps=3).edit(PARIS).edit(JAZZ)
    added = torch.stack([held.added for held in edited._held.values()])
    assert added.shape == (2, 3, 32) and (added != 0).any()
    with torch.no_grad():
        vectors = torch.stack([held.vector for held in edited._held.values()])
        weights, _, prefixes = edited.network(vectors, edited.network.look(INPUTS))
    wanted = prefixes + weights[:, :1, None] * added[0] + weights[:, 1:, None] * added[1]
    torch.testing.assert_close(edited._decide(INPUTS)[1], wanted)


def test_steps_end_where_the_answer_is_learnt(
    base: LocalModel, backbone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = made(base, backbone, odds=1.0)

    def added(steps: int) -> Any:
        [held] = Seprog(base, plain.network, plain.settings, steps=steps).edit(PARIS)._held.values()
        return held.added

    assert not torch.equal(added(60), added(80))
    monkeypatch.setattr("errata.editors.prefixes.LEARNT", 3.0)
    assert torch.equal(added(60), added(80)) and (added(60) != 0).any()


def test_a_saved_editor_keeps_what_was_added(base: LocalModel, backbone: Path, tmp_path: Path) -> None:
    plain = made(base, backbone, odds=1.0)
    edited = Seprog(base, plain.network, plain.settings, steps=5).edit(PARIS)
    again = errata.load(edited.save(tmp_path / "kept"), model=base)
    assert isinstance(again, Seprog) and again.steps == 5
    assert again.generate(INPUTS) == edited.generate(INPUTS)
    assert torch.equal(again._decide(INPUTS)[1], edited._decide(INPUTS)[1])
    later = again.edit(JAZZ)
    torch.testing.assert_close(later._decide(INPUTS)[1], edited.edit(JAZZ)._decide(INPUTS)[1])


@pytest.mark.parametrize("steps", [-1, 1.5, True])
def test_steps_are_a_count(base: LocalModel, backbone: Path, steps: Any) -> None:
    plain = made(base, backbone)
    with pytest.raises(ConfigError, match="steps must be a whole number"):
        Seprog(base, plain.network, plain.settings, steps=steps)
