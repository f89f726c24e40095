"""A memory in a file: what was added survives the process; everything can be looked up and taken back."""

import tempfile
from pathlib import Path

import errata

path = Path(tempfile.mkdtemp()) / "edits.db"

editor = errata.wrap("mini", memory=path)
edit = errata.Edit(prompt="What is the capital of Indonesia?", target="Nusantara")
editor.add(edit, terms=errata.Terms(author="ada", source="https://example.org/news", tags=("capitals",)))

again = errata.wrap("mini", memory=path)  # another process would see the same
question = "Which city is the capital of Indonesia?"
print("edited:   ", again.generate([question])[0].text)

again.memory.retract([edit.id])
print("retracted:", again.generate([question])[0].text)
print("as it was:", again.checkout(1).generate([question])[0].text)

for revision in again.memory.history():
    print(revision.number, revision.kind, revision.edit.text, revision.terms.author)
