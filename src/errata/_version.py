"""The version, the one place that tells it; the changelog must agree (tests/test_version.py)."""

__version__ = "0.1.0"
