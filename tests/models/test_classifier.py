"""The claim classifier says "True" or "False", by a network of ours or by any transformers classifier of claims."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from errata import zoo
from errata.errors import ConfigError, EditError, ModelError
from errata.models.classifier import ClaimClassifier
from errata.models.judges import VERDICT, new_claim_network, save_claim_network
from errata.models.load import load_model
from errata.models.local import LocalModel
from errata.models.network import NetworkConfig
from errata.models.text import Texts
from tiny import tiny_bert_classifier
from tiny_encoder import tiny_backbone

torch = pytest.importorskip("torch")

CLAIMS = ["who is it", "paris is the capital of france", "the the the", "what", "france is paris ?"]


@pytest.fixture(scope="module")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_backbone(tmp_path_factory.mktemp("backbone"))


def odds_of(module: Any, backbone: Path) -> Any:
    """What the module itself makes of the claims."""
    tokens = Texts(backbone).singles(CLAIMS)
    with torch.no_grad():
        return module(*(torch.from_numpy(part) for part in (tokens.ids, tokens.mask, tokens.types)))


@pytest.fixture(scope="module")
def network(backbone: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    """A claim network with stirred weights that gives both verdicts, and the folder it is saved in."""
    torch.manual_seed(3)
    config = NetworkConfig(shape="dual", backbone=str(backbone), rank=2, normalise=False, max_length=12)
    module = new_claim_network(config).eval()
    with torch.no_grad():
        for value in module.parameters():
            if value.requires_grad:
                value.copy_((value + 0.3 * torch.randn_like(value)).half())  # what a float16 file keeps exactly
        module.verdict.bias -= float(odds_of(module, backbone).median())
    folder = tmp_path_factory.mktemp("claims")
    save_claim_network(module, folder)
    return module, folder


def test_a_saved_network_gives_the_verdicts_it_gave(network: tuple[Any, Path], backbone: Path) -> None:
    module, folder = network
    expected = odds_of(module, backbone).numpy()
    model = ClaimClassifier.from_pretrained(folder, runtime="torch", name="tiny")
    assert model.log_odds(CLAIMS) == pytest.approx(expected, abs=1e-4)
    assert model.generate(CLAIMS, max_new_tokens=3) == [str(bool(odds > 0)) for odds in expected]
    assert {"True", "False"} == set(model.generate(CLAIMS)), "the claims tell nothing apart"
    assert model.name == "tiny"


def test_a_verdict_does_not_depend_on_its_batch(network: tuple[Any, Path]) -> None:
    model = ClaimClassifier.from_pretrained(network[1], runtime="torch")
    alone = [float(model.log_odds([claim])[0]) for claim in CLAIMS]
    assert model.log_odds(CLAIMS[::-1])[::-1] == pytest.approx(alone, abs=1e-5)
    assert model.generate([]) == []


def test_the_input_embeddings_of_either_kind_of_judge(network: tuple[Any, Path], tmp_path: Path) -> None:
    checkpoint = ClaimClassifier.from_pretrained(tiny_bert_classifier(tmp_path / "bert"), supports=0, refutes=1)
    for model in (ClaimClassifier.from_pretrained(network[1], runtime="torch"), checkpoint):
        found, mask = model.opened().embedded(["paris", "paris is the capital"])
        assert found.shape == (2, 6, 32) and mask.sum(1).tolist() == [3, 6], "[CLS] and [SEP] are read too"
        torch.testing.assert_close(found[0, 1], found[1, 1])
        assert not found.requires_grad


def test_claims_and_options_that_cannot_be_used_are_refused(network: tuple[Any, Path]) -> None:
    model = ClaimClassifier.from_pretrained(network[1], runtime="torch")
    for reads in (model.generate, model.opened().generate, model.opened().vectors):
        with pytest.raises(EditError, match="prompt 1 has 600 tokens; a claim has [0-9]+ at most"):
            reads(["paris", "paris " * 600])
    with pytest.raises(EditError, match="prompt 0"):
        model.generate([" "])
    with pytest.raises(ConfigError, match="did you mean 'temperature'"):
        model.generate(["paris"], temprature=1)
    with pytest.raises(ConfigError, match="no labels to choose from"):
        ClaimClassifier.from_pretrained(network[1], supports=1)


def test_a_damaged_verdict_is_a_named_error(network: tuple[Any, Path], tmp_path: Path) -> None:
    import shutil

    shutil.copytree(network[1], tmp_path / "broken")
    (tmp_path / "broken" / VERDICT).write_bytes(b"no weights")
    with pytest.raises(ModelError, match=f"cannot read .*{VERDICT}"):
        ClaimClassifier.from_pretrained(tmp_path / "broken")


# transformers checkpoints


def labelled(folder: Path, *labels: str) -> Path:
    """The tiny BERT classifier with these names for its three labels."""
    tiny_bert_classifier(folder)
    config = json.loads((folder / "config.json").read_text())
    config["id2label"] = {str(at): label for at, label in enumerate(labels)}
    config["label2id"] = {label: at for at, label in enumerate(labels)}
    (folder / "config.json").write_text(json.dumps(config))
    return folder


INPUTS = ["who plays for bordeaux", "astana", "the capital of france is paris", "jazz", "false", "a fact has changed"]


def test_a_transformers_classifier_answers_with_a_verdict(tmp_path: Path) -> None:
    """The third label is never the answer, however likely: the likelier of the two verdicts is."""
    folder = labelled(tmp_path / "bert", "REFUTES", "UNKNOWN", "SUPPORTS")
    logits = np.stack([row[0] for row in LocalModel.from_pretrained(folder).token_log_probs(INPUTS, ["SUPPORTS"] * 6)])
    model = ClaimClassifier.from_pretrained(folder)
    assert model.name == "bert"
    assert model.log_odds(INPUTS) == pytest.approx(logits[:, 2] - logits[:, 0], abs=1e-5)
    assert model.generate(INPUTS) == [str(bool(row[2] > row[0])) for row in logits]
    assert (logits.argmax(1) == 1).any(), "no input tests the third label"


@pytest.mark.parametrize("labels", [("entailment", "neutral", "contradiction"), ("TRUE", "other", "False")])
def test_labels_are_known_by_their_usual_names(tmp_path: Path, labels: tuple[str, ...]) -> None:
    plain = ClaimClassifier.from_pretrained(tiny_bert_classifier(tmp_path / "plain"), supports=0, refutes=2)
    model = ClaimClassifier.from_pretrained(labelled(tmp_path / "bert", *labels))
    assert model.log_odds(INPUTS) == pytest.approx(plain.log_odds(INPUTS), abs=1e-6)


def test_labels_can_be_said_by_name_or_number(tmp_path: Path) -> None:
    folder = labelled(tmp_path / "bert", "LABEL_0", "LABEL_1", "LABEL_2")
    by_name = ClaimClassifier.from_pretrained(folder, supports="label_1", refutes="LABEL_0")
    by_number = ClaimClassifier.from_pretrained(folder, supports=1, refutes=0)
    swapped = ClaimClassifier.from_pretrained(folder, supports=0, refutes=1)
    assert by_name.log_odds(INPUTS) == pytest.approx(by_number.log_odds(INPUTS))
    assert by_name.log_odds(INPUTS) == pytest.approx(-swapped.log_odds(INPUTS))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "its labels are 0 'LABEL_0', 1 'LABEL_1', 2 'LABEL_2'; say supports="),
        ({"supports": 1}, "cannot tell which label of bert refutes a claim"),
        ({"supports": "SUPPORTS", "refutes": 0}, "supports='SUPPORTS'"),
        ({"supports": 3, "refutes": 0}, "supports=3"),
        ({"supports": 1, "refutes": "LABEL_1"}, "are one label of bert, 'LABEL_1'"),
    ],
)
def test_labels_that_say_nothing_are_refused(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    folder = labelled(tmp_path / "bert", "LABEL_0", "LABEL_1", "LABEL_2")
    with pytest.raises(ConfigError, match=message):
        ClaimClassifier.from_pretrained(folder, **options)


# by name


def test_fc_and_a_folder_by_name(tmp_path: Path, network: tuple[Any, Path]) -> None:
    model = load_model(f"fc:{tiny_bert_classifier(tmp_path / 'bert')}", supports=2, refutes=0)
    assert isinstance(model, ClaimClassifier) and model.name == "bert"
    assert load_model(f"fc:{network[1]}").generate(CLAIMS[:1])[0] in ("True", "False")
    with pytest.raises(ConfigError, match="did you mean 'refutes'"):
        load_model("fc", refute=0)


@pytest.mark.skipif("fc" not in zoo.names(), reason="the trained part is not there")
def test_the_shipped_one_says_true_or_false() -> None:
    model = load_model("fc")
    claims = ["Savages was exclusively a German film.", "There is a capital called Mogadishu."]
    assert model.name == "fc"
    assert set(model.generate(claims)) <= {"True", "False"}
    assert model.generate(claims) == model.generate(claims[::-1])[::-1]


def test_only_adapters_and_the_verdict_are_trained(backbone: Path) -> None:
    config = NetworkConfig(shape="dual", backbone=str(backbone), rank=2)
    trained = {name for name, value in new_claim_network(config).named_parameters() if value.requires_grad}
    assert {name for name in trained if "lora_" not in name} == {"verdict.weight", "verdict.bias"}
