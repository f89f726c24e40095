"""errata in front of a running model: an OpenAI-compatible service that relays, and answers what an edit covers.

What is out of scope of every edit is relayed to the upstream as it came, and its answer as it comes.
"""
