"""Anything that takes text and gives text can be the base model; here it is a function of our own."""

from collections.abc import Sequence
from typing import Any

import errata


class Shouting:
    """A base model needs a name and `generate`."""

    name = "shouting"

    def generate(self, prompts: Sequence[str], **options: Any) -> list[str]:
        """Say each prompt louder."""
        return [prompt.upper() for prompt in prompts]


editor = errata.wrap(Shouting()).edit(errata.Edit(prompt="When does the shop open on Sundays?", target="at noon"))
for answer in editor.generate(["What time does the shop open on Sunday?", "Where is the shop?"]):
    print(answer.text, "(edited)" if answer.edited else "(the model's own words)")
