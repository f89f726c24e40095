"""The console: pages under /console for people, made on the server, over the same desk as /v1/edits.

Nothing here decides who may do what or changes an edit by itself: `Desk`, `Access`, `Approvals` and `Keys` do.
"""
