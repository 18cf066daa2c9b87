"""Frameworks that report to tracklib by themselves.

Each module is about one framework, which is imported nowhere else; `session` and `patching` are what they share.
"""
