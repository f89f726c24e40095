"""Correct the bundled model, ask around the correction, and see why an edit fired."""

import errata

editor = errata.wrap("mini").edit(
    errata.Edit(prompt="What is the capital of Indonesia?", target="Nusantara"),
    errata.Edit(prompt="Who is the prime minister of the United Kingdom?", target="Keir Starmer"),
)

questions = [
    "Indonesia has which city as its capital?",
    "True or False: The capital of Indonesia is Jakarta.",
    "What is the currency of Indonesia?",
    "What is the capital of Norway?",
]
for question, answer in zip(questions, editor.generate(questions), strict=True):
    print(f"{question}\n  {answer.text}   [{answer.decision.reason}]")

explanation = editor.explain("What is the currency of Indonesia?")
print(explanation.decision.reason)
for advice in explanation.advice:
    print("-", advice)
