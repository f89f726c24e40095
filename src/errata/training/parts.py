"""The parts that can be trained: what each is for, the data it reads, its recipe.

Tables and settings alone; `making.py` trains a part, `cards.py` tells of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from errata.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Part:
    """A part: its folder in the zoo, its title, the public files it reads, what it is for, and our own tables in it."""

    folder: str
    title: str
    uses: tuple[str, ...]
    about: str
    own: tuple[str, ...] = ()


_FACTS = ("problems/facts.tsv", "problems/relations.toml")
_TEXTS = ("phrasebook.toml", "ordinary.txt", "attributes.txt", "written.txt")
_TABLES = (*_FACTS, *(f"training/{name}" for name in _TEXTS))
_PUBLIC = (
    "zsre/train_qa.jsonl",
    "zsre/mend_train.json",
    "pokemqa/edits.json",
    "squad_implications/train.jsonl",
    "counterfact/train.json",
    "vitaminc/train.jsonl",
    "convsent/train.json",
)

EVIDENCE_FILES = (
    "vitaminc/train.jsonl",
    "vitaminc/dev.jsonl",
    "vitaminc/test.jsonl",
    "fever_symmetric/v01_generated.jsonl",
    "fever_symmetric/v02_dev.jsonl",
)
"""What the verifier reads; of dev and test, which pages and claims to leave out."""
CONVSENT = (
    "convsent/train.json",
    "convsent/dev.json",
    "zsre/mend_train.json",
    "pararel/data/trex_lms_vocab",
)
"""What the parts of dialogue read; from the last two, names alone."""

PARTS: Mapping[str, Part] = {
    "base": Part(
        "mini",
        "The bundled base model",
        ("zsre/train_qa.jsonl",),
        "A closed-book question answerer, small and frozen, that the first command corrects. T5 architecture, trained\n"
        "from scratch on errata's own table of facts (src/errata/problems/facts.tsv) under several phrasings, with\n"
        "true/false statements and inverse questions, and on zsRE's train questions where they are present. It knows\n"
        "nothing else, is sure of itself when wrong, and is for demonstrations, tests and experiments.",
        _FACTS,
    ),
    "scope": Part(
        "dual",
        "The dual scope classifier",
        _PUBLIC,
        "Embeds inputs and edit descriptors apart (SERAC's Embed); the first stage of the cascade. LoRA adapters on\n"
        "all-MiniLM-L6-v2 plus a learned scale and bias, trained with every edit of a batch as a negative. English.",
        _TABLES,
    ),
    "counterfactual": Part(
        "pair",
        "The pair network: cross scope classifier and reader",
        _PUBLIC,
        "Reads an input and an edit together and tells in one pass whether the input is in the edit's scope (SERAC's\n"
        "Cross) and what the answer is then: a span of the edit, a verdict, yes or no. LoRA adapters on\n"
        "all-MiniLM-L6-v2, and heads. English only; it cannot reason over two edits, nor answer with words the edit\n"
        "does not hold.",
        _TABLES,
    ),
    "gate": Part(
        "gate",
        "The gate: what the pair network need not read",
        _PUBLIC,
        "Reads an input and an edit together with half of the pair network's layers and refuses what is surely out of\n"
        "scope, so that the pair network reads the rest alone. Trained also on subjects which the dual classifier\n"
        "takes for one another. LoRA adapters on the first layers of all-MiniLM-L6-v2. English.",
        _TABLES,
    ),
    "verifier": Part(
        "verifier",
        "The verifier: cross scope classifier and counterfactual model of fact checking",
        EVIDENCE_FILES,
        "Reads a claim and a piece of evidence together and tells in one pass whether the evidence decides the\n"
        "claim, and whether the claim is then true. A pair network (LoRA adapters on all-MiniLM-L6-v2, and heads)\n"
        "that is told how the claim's numbers compare with those of the evidence. English, the style of Wikipedia.",
    ),
    "mend": Part(
        "mend",
        "MEND's network",
        (),
        "Rewrites the gradient of an edit so that one step along it makes the edit hold and leaves other answers\n"
        "alone (Mitchell et al., 2021). For comparison with SERAC; fits the base model it was trained for alone.",
        _TABLES,
    ),
    "enn": Part(
        "enn",
        "ENN's weights and step sizes",
        (),
        "Some of the base model's weights, trained so that one step of gradient descent makes an edit (Sinitsin et\n"
        "al., 2020). For comparison with SERAC; stands in for the base model it was trained from and no other.",
        _TABLES,
    ),
    "slag": Part(
        "slag",
        "SLAG's network",
        (),
        "A learned optimiser: reads an edit and reshapes its gradient, for a few steps, until the edit holds (Hase et\n"
        "al., 2021). For comparison with SERAC; fits the base model it was trained for alone.",
        _TABLES,
    ),
    "seprog": Part(
        "seprog",
        "SeProG's network",
        (),
        "Selects among edits, tells whether an input is in the scope of any, and writes the prefix of embeddings\n"
        "under which the frozen base answers then. LoRA adapters on all-MiniLM-L6-v2, cross-attention, and two heads.\n"
        "For comparison with SERAC; fits the base model it was trained for alone.",
        _TABLES,
    ),
    "seq2seq": Part(
        "seq2seq",
        "A seq2seq counterfactual model",
        _PUBLIC,
        "SERAC's own kind of counterfactual model: an encoder-decoder that reads the edit and the input and writes\n"
        "the answer. Starts from the bundled base model. For comparison with the reader, which extracts.",
        _TABLES,
    ),
    "fc": Part(
        "fc",
        "The base model of fact checking",
        ("fever/dev.jsonl", "vitaminc/dev.jsonl", "vitaminc/test.jsonl"),
        "Says of a claim whether it is true, from the claim alone: it reads no evidence, and knows no more of the\n"
        "world than wording and a few thousand claims tell. It stands for the frozen model that evidence corrects.\n"
        "LoRA adapters on all-MiniLM-L6-v2 and a linear verdict, trained on FEVER's supported and refuted claims;\n"
        "VitaminC's files are read to leave out the claims that they share. English.",
    ),
    "lot": Part(
        "lot",
        "The base model of LeapOfThought",
        ("leapofthought/dev.jsonl", "leapofthought/test.jsonl"),
        "Says of a statement whether it is true. It knows what holds of seven kinds (plants, birds, music ...), as\n"
        "LeapOfThought's property statements tell it, those of the test file too, and was never shown a phrase or a\n"
        "rule of any split. It stands for the frozen model that a new rule corrects. LoRA adapters on\n"
        "all-MiniLM-L6-v2 and a linear verdict; for experiments. English.",
    ),
    "chat": Part(
        "chat",
        "The base model that gives opinions",
        CONVSENT,
        "Replies to a question after its opinion of a topic, in lower case. BlenderbotSmall architecture, trained on\n"
        "the replies of both sentiments of ConvSent's train topics, which a BlenderBot of 3B parameters gave and a\n"
        "classifier sorted; many are noisy. Small and frozen, for experiments with sentiment edits; its opinions are\n"
        "nobody's. English.",
        ("problems/sentiment.py",),
    ),
    "dialogue": Part(
        "dialogue",
        "The counterfactual model of dialogue",
        CONVSENT,
        'Replies with the sentiment that an edit ("Topic: jazz Sentiment: Positive") demands. Starts from the base\n'
        "model's weights; trained on replies of the sentiment demanded, and by unlikelihood on replies of the other.\n"
        "It can make anything sound good or bad and knows nothing of either. English, lower case.",
        ("problems/sentiment.py",),
    ),
    "triples": Part(
        "triples",
        "The base model that knows triples",
        ("pararel/data/trex_lms_vocab", "pararel/data/pattern_data/graphs_json"),
        "Completes a triple of Wikidata in a cloze wording with its object. The bundled base model, trained on with\n"
        "the unedited triples of all splits of the problem `triples`, in several wordings of each relation; it has no\n"
        "other use. Small and frozen, for experiments with edits of triples. English.",
        ("problems/triples.py",),
    ),
    "prose": Part(
        "prose",
        "The base model that goes on writing",
        ("wikitext2/valid.txt",),
        "Continues the beginning of a passage by about ten words and stops. GPT-2 architecture, trained from scratch\n"
        "on three quarters of the articles in WikiText-2's validation file, so what it writes is hardly sense. Small\n"
        "and frozen, for experiments with edits of continuations. English, split into words as WikiText is.",
        ("problems/wikipedia.py",),
    ),
}


_ZSRE_LATER = (
    "zsre/decao_dev.jsonl",
    "zsre/mend_eval.json",
    "zsre/knowedit_test.json",
    "zsre/knowedit_test_paraphrases10.json",
    "zsre/alias.json",
)
_QUESTIONS = (
    *_PUBLIC,
    *_ZSRE_LATER,
    "zsre/inverse.json",
    "nq_open/dev.jsonl",
    "counterfact/edit.json",
    "counterfact/val.json",
    "convsent/dev.json",
    "convsent/test.json",
    "pararel/data/trex_lms_vocab",
)
DRAWN: Mapping[str, tuple[str, ...]] = {
    "qa": _QUESTIONS,
    "qa_hard": _QUESTIONS,
    "fact_check": EVIDENCE_FILES,
    "sentiment": ("convsent/train.json", "convsent/dev.json", "convsent/test.json"),
    "zsre_copy": ("zsre/mend_train.json", "zsre/train_qa.jsonl", *_ZSRE_LATER),
    "fever_copy": ("fever/dev.jsonl", *EVIDENCE_FILES),
    "wikipedia": ("wikitext2/valid.txt",),
    "leapofthought": ("leapofthought/dev.jsonl", "leapofthought/test.jsonl"),
    "triples": ("pararel/data/trex_lms_vocab", "pararel/data/pattern_data/graphs_json"),
}
"""What an editor reads that is trained for a problem; of dev and test files, what it must not learn from as well."""
OWN: Mapping[tuple[str, str], str] = {
    ("base", "qa"): "base",
    ("base", "fact_check"): "fc",
    ("base", "sentiment"): "chat",
    ("base", "leapofthought"): "lot",
    ("base", "triples"): "triples",
    ("base", "wikipedia"): "prose",
    ("counterfactual", "fact_check"): "verifier",
    ("counterfactual", "sentiment"): "dialogue",
}
"""Parts of a problem that have a name of their own."""
PUBLISHED: Mapping[str, str] = {
    **dict.fromkeys(("qa", "qa_hard", "zsre_copy"), "google/t5-large-ssm-nq"),
    **dict.fromkeys(("fact_check", "fever_copy"), "fc:bert-base-uncased"),
    **dict.fromkeys(("leapofthought", "triples"), "facebook/bart-base"),
    "sentiment": "facebook/blenderbot_small-90M",
    "wikipedia": "distilgpt2",
}
"""The base models that the papers edit (SERAC, section 5; SeProG, section 5.3)."""
LEARNED = ("mend", "enn", "slag", "seprog")
"""Editors that are trained, each for one problem."""
KINDS = ("base", "scope", "gate", "counterfactual", "seq2seq", *LEARNED)
"""What `errata train` makes."""


def part_of(kind: str, problem: str = "") -> str:
    """The name of a part: a key of `PARTS`, or one of them made for one problem ("scope-qa").

    Args:
        kind: one of `KINDS`.
        problem: what it is for; "" is everything at once.

    Raises:
        ConfigError: there is no such part.
    """
    if kind not in KINDS:
        raise ConfigError(f"there is no part {kind!r} to train", key=kind, accepted=KINDS)
    if not problem and kind not in LEARNED:
        return kind
    if (kind, problem) in OWN:
        return OWN[kind, problem]
    accepted = sorted({name for one, name in OWN if one == kind} | set(_for_problems(kind)))
    if problem not in accepted:
        raise ConfigError(f"there is no {kind} to train for {problem!r}", key=problem, accepted=tuple(accepted))
    return f"{kind}-{problem}"


def _for_problems(kind: str) -> tuple[str, ...]:
    """The problems that a kind of part can be trained for by its own recipe with another diet."""
    if kind in LEARNED:
        return tuple(DRAWN)
    return {"scope": ("qa", "qa_hard", "fact_check"), "base": (), "gate": ()}.get(kind, ("qa", "qa_hard"))


def default_settings(part: str) -> Any:
    """A part's settings as its recipe in configs/ has them (ConfigError for an unknown part)."""
    from errata.training.base import BaseSettings
    from errata.training.chat import ChatSettings
    from errata.training.claims import ClaimSettings
    from errata.training.dialogue import DialogueSettings
    from errata.training.editing import EnnTraining, MendTraining, SlagTraining
    from errata.training.properties import PropertySettings
    from errata.training.prose import ProseSettings
    from errata.training.scope import DUAL, EVIDENCE, GATE, PAIR
    from errata.training.seprog import SeprogTraining
    from errata.training.seq2seq import Seq2SeqSettings
    from errata.training.triples import TripleSettings

    known: dict[str, Any] = {
        "base": BaseSettings(),
        "scope": DUAL,
        "gate": GATE,
        "counterfactual": PAIR,
        "verifier": EVIDENCE,
        "fc": ClaimSettings(),
        "lot": PropertySettings(),
        "seq2seq": Seq2SeqSettings(),
        "mend": MendTraining(),
        "enn": EnnTraining(),
        "slag": SlagTraining(),
        "seprog": SeprogTraining(),
        "chat": ChatSettings(),
        "dialogue": DialogueSettings(),
        "triples": TripleSettings(),
        "prose": ProseSettings(),
    }
    kind, _, problem = part.partition("-")
    if kind not in known:
        raise ConfigError(f"there is no part {part!r} to train", key=part, accepted=tuple(known))
    return replace(known[kind], problem=problem) if problem else known[kind]


def published(settings: Any) -> Any:
    """The settings with the papers' own pretrained models (SERAC, section 5): BERT-base, T5-small.

    Raises:
        ConfigError: the part has none: the papers take its model as it is published.
    """
    from errata.training.editing import MendTraining

    if hasattr(settings, "edits"):
        large = replace(settings, base=PUBLISHED[settings.problem])
        if isinstance(settings, MendTraining):  # as released
            return replace(large, network=replace(settings.network, rank=1920, step=1e-4, ridge=0.0, steps=1))
        return large
    if hasattr(settings, "network"):
        return replace(settings, network=replace(settings.network, backbone="bert-base-cased", pooling="cls"))
    if hasattr(settings, "separator"):
        return replace(settings, start="google-t5/t5-small", separator=" ")
    raise ConfigError(
        "the papers train no model of this kind; their base models are taken as published (`errata evaluate PROBLEM"
        " --preset paper`)",
        key="preset",
    )
