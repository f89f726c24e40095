"""Runs that measure: an editor on a problem, and the routing decision against a bare encoder."""
