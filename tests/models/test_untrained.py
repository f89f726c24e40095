from __future__ import annotations

import pytest

from errata.errors import ConfigError
from errata.models.untrained import untrained


@pytest.mark.parametrize(("shape", "kind"), [("t5", "seq2seq"), ("gpt2", "causal"), ("untrained:bart", "seq2seq")])
def test_an_untrained_model_says_the_same_each_time(shape: str, kind: str) -> None:
    asked = ["What is the capital of France?", "Who wrote Emma?"]
    model = untrained(shape)
    said = model.generate(asked)
    assert model.kind == kind
    assert said == untrained(shape).generate(asked)
    assert len(set(said)) == 2


def test_an_untrained_model_of_no_known_shape() -> None:
    with pytest.raises(ConfigError, match="no untrained model 'gpt9'"):
        untrained("gpt9")
