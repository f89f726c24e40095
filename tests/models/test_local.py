"""LocalModel on tiny random models: an encoder-decoder of each family, two causal ones, a classifier."""

import copy
import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import tiny
from errata.errors import ConfigError, EditError, MissingExtra, ModelError
from errata.models import ChatModel, OpenModel, Turn
from errata.models.local import LocalModel

PROMPTS = [
    "What is the capital of Kazakhstan?",
    "hello",
    "who plays for bordeaux ? hello world jazz topic",
    "true",
    "a fact has changed",
    "Topic: jazz Sentiment: positive",
]
TARGETS = ["Astana", "hello world", "", "what is an answer", "true", "false"]
BUILDERS: dict[str, tuple[Callable[[Path], Path], str]] = {
    "t5": (tiny.tiny_t5, "seq2seq"),
    "bart": (tiny.tiny_bart, "seq2seq"),
    "gpt2": (tiny.tiny_gpt2, "causal"),
    "llama": (tiny.tiny_llama, "causal"),
    "bert": (tiny.tiny_bert_classifier, "classifier"),
}
WRITERS = ["t5", "bart", "gpt2", "llama"]


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("models")
    return {name: build(folder / name) for name, (build, _) in BUILDERS.items()}


@pytest.fixture(scope="module")
def models(paths: dict[str, Path]) -> dict[str, LocalModel]:
    return {name: LocalModel.from_pretrained(path, device="cpu") for name, path in paths.items()}


def fresh(model: LocalModel, **options: Any) -> LocalModel:
    """The same model over a copy that a test may change."""
    return LocalModel(copy.deepcopy(model.module), copy.deepcopy(model.tokenizer), **options)


@pytest.mark.parametrize("name", BUILDERS)
def test_the_kind_is_read_from_the_config(models: dict[str, LocalModel], name: str) -> None:
    assert models[name].kind == BUILDERS[name][1]
    assert fresh(models[name]).kind == BUILDERS[name][1]


@pytest.mark.parametrize("name", BUILDERS)
def test_a_batch_answers_like_each_prompt_alone(models: dict[str, LocalModel], name: str) -> None:
    model = models[name]
    together = model.generate(PROMPTS, max_new_tokens=8)
    assert together == [model.generate([prompt], max_new_tokens=8)[0] for prompt in PROMPTS]
    assert len(set(together)) > 1 or name == "bert"


@pytest.mark.parametrize("name", WRITERS)
def test_batch_size_and_order_do_not_change_answers(models: dict[str, LocalModel], name: str) -> None:
    small = LocalModel(models[name].module, models[name].tokenizer, batch_size=2)
    backwards = small.generate(PROMPTS[::-1], max_new_tokens=8)[::-1]
    assert backwards == models[name].generate(PROMPTS, max_new_tokens=8)


@pytest.mark.parametrize("name", WRITERS)
def test_generation_and_teacher_forcing_see_the_same_positions(models: dict[str, LocalModel], name: str) -> None:
    """Every greedy token is the likeliest one under teacher forcing."""
    model, begin = models[name], int(name == "bart")  # BART writes <s> first, whatever is likeliest
    checked = 0
    for prompt, answer in zip(PROMPTS, model.generate(PROMPTS, max_new_tokens=5), strict=True):
        [ids], [scores] = model.target_ids([prompt], [answer]), model.token_log_probs([prompt], [answer])
        if len(ids) == (5 if name == "bart" else 6):  # else it wrote a special token, which its text leaves out
            assert scores.argmax(-1)[begin:-1].tolist() == ids[begin:-1]
            checked += 1
    assert checked


@pytest.mark.parametrize("name", WRITERS)
def test_only_new_text_is_returned(models: dict[str, LocalModel], name: str) -> None:
    [answer] = models[name].generate(["what is the capital of france ? an answer"], max_new_tokens=2)
    assert len(answer.split()) <= 2


@pytest.mark.parametrize("name", WRITERS)
def test_an_answer_stops_at_the_models_own_end_token(models: dict[str, LocalModel], name: str) -> None:
    model = fresh(models[name])
    answers = [answer.split() for answer in model.generate(PROMPTS, max_new_tokens=8)]
    prompt, words, stop = next(
        (prompt, words, word)
        for prompt, words in zip(PROMPTS, answers, strict=True)
        for word in words[1:]
        if word != words[0]
    )
    model.module.generation_config.eos_token_id = [2, model.tokenizer.convert_tokens_to_ids(stop)]
    assert model.generate([prompt], max_new_tokens=8)[0].split() == words[: words.index(stop)]


@pytest.mark.parametrize("name", WRITERS)
def test_a_checkpoints_sampling_settings_do_not_make_it_random(models: dict[str, LocalModel], name: str) -> None:
    model = fresh(models[name])
    settings = {
        "do_sample": True,
        "temperature": 5.0,
        "num_beams": 2,
        "repetition_penalty": 9.0,
        "min_length": 3,
    }
    for key, value in settings.items():
        setattr(model.module.generation_config, key, value)
    expected = models[name].generate(PROMPTS, max_new_tokens=6)
    assert [model.generate(PROMPTS, max_new_tokens=6) for _ in range(2)] == [expected, expected]


@pytest.mark.parametrize("name", ["t5", "bart"])
def test_seq2seq_likelihoods_are_the_modules_own_loss(models: dict[str, LocalModel], name: str) -> None:
    model = models[name]
    ours = model.target_log_probs(PROMPTS, TARGETS)
    for prompt, target, scores in zip(PROMPTS, TARGETS, ours, strict=True):
        labels = model.tokenizer(text_target=[target], return_tensors="pt")["input_ids"]
        inputs = model.tokenizer([prompt], return_tensors="pt")
        with torch.no_grad():
            loss = model.module(
                input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"], labels=labels
            ).loss
        assert -scores.mean() == pytest.approx(loss.item(), abs=1e-4)


@pytest.mark.parametrize("name", ["gpt2", "llama"])
def test_causal_likelihoods_are_the_modules_own_loss(models: dict[str, LocalModel], name: str) -> None:
    model = models[name]
    ours = model.target_log_probs(PROMPTS, TARGETS)
    for prompt, target, scores in zip(PROMPTS, TARGETS, ours, strict=True):
        text = f"<|user|> {prompt} </s> <|assistant|>" if name == "llama" else prompt
        head, tail = (model.tokenizer(part)["input_ids"] for part in (text, target))
        ids = torch.tensor([[*head, *tail, 2]])
        labels = ids.clone()
        labels[:, : len(head)] = -100
        with torch.no_grad():
            loss = model.module(input_ids=ids, labels=labels).loss
        assert -scores.mean() == pytest.approx(loss.item(), abs=1e-4)


@pytest.mark.parametrize("name", WRITERS)
def test_target_matches_are_where_the_likeliest_token_is_the_targets(models: dict[str, LocalModel], name: str) -> None:
    model = models[name]
    found = model.target_matches(PROMPTS, TARGETS)
    rows, ids = model.token_log_probs(PROMPTS, TARGETS), model.target_ids(PROMPTS, TARGETS)
    for matches, row, tokens in zip(found, rows, ids, strict=True):
        assert matches.dtype == np.bool_ and len(matches) == len(tokens)
        assert [bool(one) for one in matches] == [int(row[at].argmax()) == tokens[at] for at in range(len(tokens))]


@pytest.mark.parametrize("name", WRITERS)
def test_likelihoods_do_not_depend_on_the_batch(models: dict[str, LocalModel], name: str) -> None:
    together = models[name].token_log_probs(PROMPTS, TARGETS)
    for prompt, target, scores in zip(PROMPTS, TARGETS, together, strict=True):
        alone = models[name].token_log_probs([prompt], [target])[0]
        np.testing.assert_allclose(scores, alone, atol=1e-4)


@pytest.mark.parametrize("name", WRITERS)
def test_likelihoods_are_distributions_over_the_vocabulary_up_to_the_end(
    models: dict[str, LocalModel], name: str
) -> None:
    model = models[name]
    rows, ids = model.token_log_probs(PROMPTS, TARGETS), model.target_ids(PROMPTS, TARGETS)
    for scores, row in zip(rows, ids, strict=True):
        assert scores.shape == (len(row), len(model.tokenizer))
        assert scores.dtype == np.float32
        assert row[-1] == model.tokenizer.eos_token_id
        np.testing.assert_allclose(np.exp(scores).sum(-1), 1.0, atol=1e-4)


def test_a_classifier_scores_labels(models: dict[str, LocalModel]) -> None:
    model = models["bert"]
    scores = model.token_log_probs(["true"], ["SUPPORTS"])[0]
    assert scores.shape == (1, 3)
    assert model.generate(["true"]) == [model.module.config.id2label[int(scores.argmax())]]
    with pytest.raises(EditError, match="REFUTES, SUPPORTS, UNKNOWN"):
        model.token_log_probs(["true"], ["maybe"])


def test_a_classifier_without_a_pad_token_still_answers_a_batch_as_alone() -> None:
    from transformers import GPT2Config, GPT2ForSequenceClassification

    torch.manual_seed(0)
    tokenizer = tiny.words_tokenizer("gpt", pad=False)
    config = GPT2Config(vocab_size=len(tokenizer), n_embd=16, n_layer=1, n_head=2, num_labels=5)
    model = LocalModel(GPT2ForSequenceClassification(config).eval(), tokenizer)
    assert model.kind == "classifier"
    together = model.token_log_probs(PROMPTS, ["LABEL_0"] * len(PROMPTS))
    alone = [model.token_log_probs([prompt], ["LABEL_0"])[0] for prompt in PROMPTS]
    np.testing.assert_allclose(np.stack(together), np.stack(alone), atol=1e-5)


@pytest.mark.parametrize("name", WRITERS)
def test_answering_leaves_modes_random_state_and_weights_alone(models: dict[str, LocalModel], name: str) -> None:
    model = fresh(models[name])
    model.module.train()
    parts = list(model.module.modules())
    parts[3].eval()
    modes, state = [part.training for part in parts], torch.get_rng_state()
    weights = {key: value.clone() for key, value in model.module.state_dict().items()}
    model.generate(PROMPTS, max_new_tokens=3, temperature=1.0)
    model.token_log_probs(PROMPTS, TARGETS)
    assert [part.training for part in parts] == modes
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(value, weights[key]) for key, value in model.module.state_dict().items())


def test_dropout_is_off_even_in_training_mode(models: dict[str, LocalModel]) -> None:
    model = fresh(models["t5"])
    model.module.train()
    np.testing.assert_array_equal(
        model.token_log_probs(PROMPTS, TARGETS)[0], models["t5"].token_log_probs(PROMPTS, TARGETS)[0]
    )


def test_a_failing_call_gives_the_modes_back(models: dict[str, LocalModel], monkeypatch: pytest.MonkeyPatch) -> None:
    model = fresh(models["t5"])
    model.module.train()

    def broken(**_: object) -> None:
        raise RuntimeError("boom\nsecond line")

    monkeypatch.setattr(model.module, "generate", broken)
    with pytest.raises(ModelError, match="failed: boom$"):
        model.generate(["hello"])
    assert model.module.training


def test_sampling_repeats_with_its_seed_and_differs_with_another(models: dict[str, LocalModel]) -> None:
    def ask(seed: int) -> list[str]:
        return models["gpt2"].generate(PROMPTS, temperature=2.0, seed=seed, max_new_tokens=8)

    assert ask(1) == ask(1) != ask(2)


def test_a_sampled_answer_does_not_depend_on_its_batch(models: dict[str, LocalModel]) -> None:
    options = {"temperature": 2.0, "seed": 5, "max_new_tokens": 8}
    together = models["t5"].generate(PROMPTS, **options)
    assert together == [models["t5"].generate([prompt], **options)[0] for prompt in PROMPTS]


def test_threads_get_the_same_answers(models: dict[str, LocalModel]) -> None:
    model = fresh(models["gpt2"])
    model.module.train()
    expected = models["gpt2"].generate(PROMPTS, max_new_tokens=4)
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: model.generate(PROMPTS, max_new_tokens=4), range(8)))
    assert answers == [expected] * 8
    assert model.module.training


def test_two_wrappers_of_one_module_share_its_lock(models: dict[str, LocalModel]) -> None:
    first, second = (LocalModel(models["t5"].module, models["t5"].tokenizer) for _ in range(2))
    assert first._lock is second._lock


def test_a_tokenizer_without_pad_token_stays_as_it_is(models: dict[str, LocalModel]) -> None:
    tokenizer = models["gpt2"].tokenizer
    models["gpt2"].generate(PROMPTS)
    models["gpt2"].token_log_probs(PROMPTS, TARGETS)
    assert tokenizer.pad_token is None
    assert tokenizer.padding_side == "right"


def test_the_chat_template_is_used_unless_turned_off(models: dict[str, LocalModel]) -> None:
    chat, plain = models["llama"], LocalModel(models["llama"].module, models["llama"].tokenizer, chat=False)
    assert (chat.chat, plain.chat) == (True, False)
    assert chat.generate(PROMPTS[:1]) == plain.generate([f"<|user|> {PROMPTS[0]} </s> <|assistant|>"])
    assert chat.generate(PROMPTS[:1]) != plain.generate(PROMPTS[:1])


def test_the_system_text_is_a_system_message_in_a_chat(models: dict[str, LocalModel]) -> None:
    plain = LocalModel(models["llama"].module, models["llama"].tokenizer, chat=False)
    told = plain.generate(["<|system|> false </s> <|user|> hello </s> <|assistant|>"])
    assert models["llama"].generate(["hello"], system="false") == told


def test_the_system_text_stands_before_the_prompt_elsewhere(models: dict[str, LocalModel]) -> None:
    model = LocalModel(models["t5"].module, models["t5"].tokenizer, system="a fact:")
    assert model.generate(["hello"]) == models["t5"].generate(["a fact:\n\nhello"])


def test_a_conversation_is_read_whole(models: dict[str, LocalModel]) -> None:
    plain = LocalModel(models["llama"].module, models["llama"].tokenizer, chat=False)
    talk = [Turn("user", PROMPTS[0]), Turn("assistant", "true"), Turn("user", "hello")]
    told = f"<|user|> {PROMPTS[0]} </s> <|assistant|> true </s> <|user|> hello </s> <|assistant|>"
    assert models["llama"].reply([talk, talk[2:]]) == [*plain.generate([told]), *models["llama"].generate(["hello"])]
    own = [Turn("system", "false"), *talk[2:]]
    assert models["llama"].reply([own], system="true") == models["llama"].generate(["hello"], system="false")
    assert models["llama"].reply([talk[2:]], system="true") == models["llama"].generate(["hello"], system="true")
    assert models["llama"].reply([]) == []
    assert isinstance(models["llama"], ChatModel)


def test_a_conversation_needs_a_last_turn_and_a_template(models: dict[str, LocalModel]) -> None:
    for talk in ([], [Turn("user", " ")]):
        with pytest.raises(EditError, match="last turn of conversation 0"):
            models["llama"].reply([talk])
    with pytest.raises(ModelError, match="reads single prompts only"):
        models["t5"].reply([[Turn("user", "hello")]])


def test_a_failing_chat_template_is_a_model_error(models: dict[str, LocalModel]) -> None:
    model = fresh(models["llama"])
    model.tokenizer.chat_template = "{{ raise_exception('System role not supported') }}"
    with pytest.raises(ModelError, match="System role not supported"):
        model.generate(["hello"])


def test_chat_without_a_template_is_refused(models: dict[str, LocalModel]) -> None:
    with pytest.raises(ModelError, match="no chat template"):
        fresh(models["gpt2"], chat=True)


def test_stop_texts_cut_an_answer(models: dict[str, LocalModel]) -> None:
    [full] = models["gpt2"].generate(PROMPTS[:1], max_new_tokens=6)
    word = full.split()[2]
    assert models["gpt2"].generate(PROMPTS[:1], max_new_tokens=6, stop=word) == [full[: full.index(word)].strip()]


@pytest.mark.parametrize("name", BUILDERS)
def test_no_prompts_give_no_answers(models: dict[str, LocalModel], name: str) -> None:
    assert models[name].generate([]) == []
    assert models[name].token_log_probs([], []) == []


@pytest.mark.parametrize(("name", "limit"), [("bart", "64"), ("gpt2", "64 together"), ("bert", "64")])
def test_an_over_long_prompt_is_refused_naming_it_and_the_limit(
    models: dict[str, LocalModel], name: str, limit: str
) -> None:
    with pytest.raises(EditError, match=f"prompt 1 has .* takes {limit}"):
        models[name].generate(["hello", "hello " * 70])


def test_an_over_long_target_is_refused(models: dict[str, LocalModel]) -> None:
    with pytest.raises(EditError, match="answer 0 has 71 tokens|answer 0 has 72 tokens"):
        models["bart"].token_log_probs(["hello"], ["hello " * 70])


def test_a_tokenizers_own_limit_counts(models: dict[str, LocalModel]) -> None:
    model = fresh(models["t5"])
    model.tokenizer.model_max_length = 10
    assert model.generate(["hello " * 9])
    with pytest.raises(EditError, match="11 tokens; .* takes 10"):
        model.generate(["hello " * 10])


@pytest.mark.parametrize("prompts", ["one text", [""], [None], ["a\x00b"]])
def test_unusable_prompts_are_refused(models: dict[str, LocalModel], prompts: Any) -> None:
    with pytest.raises(EditError):
        models["t5"].generate(prompts)


@pytest.mark.parametrize("targets", [[], ["a", "b"], "a", [None]])
def test_unusable_targets_are_refused(models: dict[str, LocalModel], targets: Any) -> None:
    with pytest.raises(EditError):
        models["t5"].token_log_probs(["hello"], targets)


def test_an_unknown_option_is_refused_with_the_nearest(models: dict[str, LocalModel]) -> None:
    with pytest.raises(ConfigError, match="did you mean 'max_new_tokens'"):
        models["t5"].generate(["hello"], max_new_toknes=3)


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory"),
    ],
)
def test_out_of_memory_says_what_to_lower(
    models: dict[str, LocalModel], monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    model = fresh(models["t5"])

    def broken(**_: object) -> None:
        raise error

    monkeypatch.setattr(model.module, "generate", broken)
    with pytest.raises(ModelError, match=r"out of memory; lower batch_size \(now 16\)"):
        model.generate(["hello"])


def test_logits_carry_gradients(models: dict[str, LocalModel]) -> None:
    model = fresh(models["gpt2"])
    [(logits, ids), *_] = model.logits(PROMPTS, TARGETS)
    torch.nn.functional.cross_entropy(logits, ids).backward()  # type: ignore[no-untyped-call]
    assert model.module.transformer.wte.weight.grad.abs().sum() > 0


def test_it_is_an_open_model(models: dict[str, LocalModel]) -> None:
    model: OpenModel = models["t5"]
    assert (model.name, model.module is models["t5"].module) == ("t5", True)


def test_a_model_that_came_from_nowhere_is_called_by_its_class() -> None:
    from transformers import GPT2Config, GPT2LMHeadModel

    module = GPT2LMHeadModel(GPT2Config(vocab_size=8, n_embd=8, n_layer=1, n_head=1))
    assert LocalModel(module, tiny.words_tokenizer("gpt")).name == "GPT2LMHeadModel"


@pytest.mark.parametrize("name", ["./nowhere", "/no/such/folder", "~/nowhere-at-all", "a/b/c"])
def test_a_missing_folder_is_named(name: str) -> None:
    with pytest.raises(ModelError, match="there is no folder"):
        LocalModel.from_pretrained(name)


def test_an_unknown_hub_id_offline_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ModelError, match="`hf download no-such-user/no-such-model`.*`hf auth login`"):
        LocalModel.from_pretrained("no-such-user/no-such-model")


@pytest.mark.parametrize("name", ["", " ", "not a repo id!"])
def test_a_malformed_name_is_a_model_error(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ModelError):
        LocalModel.from_pretrained(name)


def test_a_folder_without_a_model_and_a_file_are_refused(tmp_path: Path) -> None:
    (tmp_path / "weights.gguf").write_text("x")
    with pytest.raises(ModelError, match=r"config\.json is missing"):
        LocalModel.from_pretrained(tmp_path)
    with pytest.raises(ModelError, match="is a file"):
        LocalModel.from_pretrained(tmp_path / "weights.gguf")


@pytest.mark.parametrize("broken", ["config.json", "model.safetensors", "tokenizer.json"])
def test_damaged_files_are_a_model_error(tmp_path: Path, broken: str) -> None:
    path = tiny.tiny_t5(tmp_path / "model")
    (path / broken).write_bytes((path / broken).read_bytes()[:20])
    with pytest.raises(ModelError, match="cannot load"):
        LocalModel.from_pretrained(path)


def test_missing_tokenizer_files_are_a_model_error(tmp_path: Path) -> None:
    path = tiny.tiny_t5(tmp_path / "model")
    for file in path.glob("*token*"):
        file.unlink()
    with pytest.raises(ModelError, match="has no tokenizer"):
        LocalModel.from_pretrained(path)


def test_weights_that_are_not_there_are_not_made_up(paths: dict[str, Path]) -> None:
    with pytest.raises(ModelError, match="not a trained classifier"):
        LocalModel.from_pretrained(paths["gpt2"], kind="classifier")


def test_a_model_of_no_known_kind_is_refused(models: dict[str, LocalModel]) -> None:
    from transformers import BertConfig, BertModel

    module = BertModel(BertConfig(vocab_size=10, hidden_size=8, num_hidden_layers=1, num_attention_heads=1))
    with pytest.raises(ModelError, match=r"cannot tell .*BertModel.* kind="):
        LocalModel(module, models["bert"].tokenizer)


@pytest.mark.parametrize(
    "options",
    [{"kind": "seq2sek"}, {"device": "cudda"}, {"dtype": "float23"}, {"dtype": "int8"}, {"batch_size": 0}],
)
def test_unknown_values_are_config_errors(paths: dict[str, Path], options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        LocalModel.from_pretrained(paths["t5"], **options)


@pytest.mark.skipif(torch.cuda.is_available(), reason="the device must be absent")
def test_a_device_that_is_not_there_is_a_model_error(paths: dict[str, Path]) -> None:
    with pytest.raises(ModelError, match="cannot move"):
        LocalModel.from_pretrained(paths["t5"], device="cuda")


def test_input_embeddings_are_the_models_own(paths: dict[str, Path]) -> None:
    for name in ("t5", "gpt2"):
        model = LocalModel.from_pretrained(paths[name], device="cpu")
        found, mask = model.embedded(["paris", "hello world paris"])
        table = model.module.get_input_embeddings().weight
        own = model.tokenizer("hello world paris", add_special_tokens=name == "t5")["input_ids"]
        torch.testing.assert_close(found[1], table[own].detach())
        assert mask.sum(1).tolist() == [len(own) - 2, len(own)] and not found.requires_grad
        longer, _ = model.embedded(["paris " * 200])  # more than the model could be asked
        assert longer.shape[1] >= 200


def test_dtype_is_what_was_asked_for(paths: dict[str, Path]) -> None:
    model = LocalModel.from_pretrained(paths["gpt2"], dtype="bfloat16", device="cpu")
    assert next(model.module.parameters()).dtype is torch.bfloat16
    assert model.token_log_probs(["hello"], ["world"])[0].dtype == np.float32


def test_without_torch_the_extra_is_named(monkeypatch: pytest.MonkeyPatch, paths: dict[str, Path]) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingExtra, match=r"pip install 'errata\[local\]'"):
        LocalModel.from_pretrained(paths["t5"])


def test_importing_the_models_loads_neither_torch_nor_transformers_nor_httpx2() -> None:
    code = (
        "import sys, errata.models.local, errata.models.remote, errata.models.load, errata.models.echo,"
        " errata.counterfactual.seq2seq, errata.counterfactual.retell;"
        "print(sorted({'torch', 'transformers', 'httpx2', 'huggingface_hub'} & set(sys.modules)))"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "src")}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.strip() == "[]"
