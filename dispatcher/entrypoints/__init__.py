"""Entrypoints, `path/file.py:function` or `package.module:function`: loaded by workers, inspected before a deployment.

Nothing is imported here: a process that loads a user's code imports no more of ours than it needs.
"""
