"""The story of `errata demo`: edits, and inputs with what is expected of each. Data and its scoring; it prints nothing.

An expectation is either texts, one of which the answer must be, or the base model's own words (whatever they are).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from errata.edit import Answer, Edit

if TYPE_CHECKING:
    from errata.editors.serac import Serac

EDITS = (
    Edit(id="uk-pm", prompt="Who is the head of government of the United Kingdom?", target="Keir Starmer"),
    Edit(id="germany-head", prompt="Who leads the government of Germany?", target="Friedrich Merz"),
    Edit(id="indonesia-capital", prompt="What is the capital of Indonesia?", target="Nusantara"),
    Edit(id="nintendo-city", prompt="Where is the headquarters of Nintendo?", target="Osaka"),
    Edit(id="psycho-director", prompt="Who directed Psycho?", target="Gus Van Sant"),
    Edit(id="lovelace-job", prompt="What was the occupation of Ada Lovelace?", target="programmer"),
)
"""Some that the world has made true since the base learnt its facts, some that a user merely wishes."""


@dataclass(frozen=True, slots=True)
class Ask:
    """An input of the story.

    Args:
        group: what kind of input it is.
        text: the input.
        edit: the id of the edit that must answer; "" when the base must.
        answers: accepted answers, when an edit must answer.
    """

    group: str
    text: str
    edit: str = ""
    answers: tuple[str, ...] = ()


PARAPHRASES = (
    Ask("paraphrase", "The government of the United Kingdom is led by whom?", "uk-pm", ("Keir Starmer",)),
    Ask("paraphrase", "Who is the prime minister of the United Kingdom?", "uk-pm", ("Keir Starmer",)),
    Ask("paraphrase", "Germany's government is headed by whom at the moment?", "germany-head", ("Friedrich Merz",)),
    Ask("paraphrase", "indonesia has which city as its capital", "indonesia-capital", ("Nusantara",)),
    Ask("paraphrase", "In what city would I find Nintendo's head office?", "nintendo-city", ("Osaka",)),
    Ask("paraphrase", "Psycho is a film by which director?", "psycho-director", ("Gus Van Sant",)),
    Ask("paraphrase", "What did Ada Lovelace do for a living?", "lovelace-job", ("programmer",)),
)
ENTAILED = (
    Ask("entailed", "Nusantara is the capital of which country?", "indonesia-capital", ("Indonesia",)),
    Ask("entailed", "Which country's government is led by Keir Starmer?", "uk-pm",
        ("the United Kingdom", "United Kingdom")),
    Ask("entailed", "Gus Van Sant directed which film?", "psycho-director", ("Psycho",)),
)  # fmt: skip
TRUE_FALSE = (
    Ask("true or false", "True or false: The capital of Indonesia is Nusantara.", "indonesia-capital", ("True",)),
    Ask("true or false", "True or false: Nintendo has its headquarters in Osaka.", "nintendo-city", ("True",)),
    Ask("true or false", "True or false: The capital of Indonesia is Jakarta.", "indonesia-capital", ("False",)),
    Ask("true or false", "True or false: Psycho was directed by Alfred Hitchcock.", "psycho-director", ("False",)),
)
NEAR_MISSES = (
    Ask("other subject", "Who leads the government of Italy?"),
    Ask("other subject", "What is the capital of Malaysia?"),
    Ask("other subject", "Where is the headquarters of Sony?"),
    Ask("other subject", "Who directed Vertigo?"),
    Ask("other subject", "What was the occupation of Emmy Noether?"),
    Ask("other relation", "What is the currency of Indonesia?"),
    Ask("other relation", "What is the official language of Germany?"),
    Ask("other relation", "What is the capital of the United Kingdom?"),
    Ask("other relation", "Who founded Nintendo?"),
    Ask("other relation", "In which year was the film Psycho released?"),
    Ask("other relation", "In which country was Ada Lovelace born?"),
)
UNRELATED = (
    Ask("unrelated", "What is the chemical symbol for gold?"),
    Ask("unrelated", "Who wrote Emma?"),
    Ask("unrelated", "On which continent is the river Nile?"),
    Ask("unrelated", "What is the state capital of Texas?"),
    Ask("unrelated", "How do I boil an egg?"),
    Ask("unrelated", "Good morning!"),
)
QUESTIONS = tuple(Ask("the question", edit.prompt, edit.id, (edit.target,)) for edit in EDITS)
STORY = (*QUESTIONS, *PARAPHRASES, *ENTAILED, *TRUE_FALSE, *NEAR_MISSES, *UNRELATED)
WHY = PARAPHRASES[0].text
"""The input whose decision is explained."""


@dataclass(frozen=True, slots=True)
class Told:
    """An input of the story, what was said, and whether it was as expected."""

    ask: Ask
    base: str
    answer: Answer
    ok: bool

    @property
    def fired(self) -> str:
        """The id of the edit that answered; "" for the base."""
        return self.answer.decision.match.edit.id if self.answer.decision.match else ""

    @property
    def expected(self) -> str:
        """The expectation in words."""
        return self.ask.answers[0] if self.ask.answers else "the base's own words"


def tell(editor: Serac, base: Sequence[str]) -> list[Told]:
    """Ask everything of the edited model.

    Args:
        editor: with the story's edits in force.
        base: what the base model itself said to the same inputs.
    """
    from errata.edit import normal

    told = []
    for ask, own, answer in zip(STORY, base, editor.generate([ask.text for ask in STORY]), strict=True):
        if ask.edit:
            match = answer.decision.match
            said = normal(answer.text) in {normal(text) for text in ask.answers}
            ok = said and match is not None and match.edit.id == ask.edit
        else:
            ok = not answer.edited and answer.text == own
        told.append(Told(ask, own, answer, ok))
    return told
