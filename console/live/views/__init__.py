"""The tables of the console, one module each: which objects, which columns, in which words. Pure.

To add one: a module with a `ViewSpec`, and a line in `console/live/catalog.py`.
"""
