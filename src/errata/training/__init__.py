"""Training of the scope classifier: its phrasebook, its pairs and its fitting."""
