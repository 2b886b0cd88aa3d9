"""Modules that only a Worker imports: `workers`, `js`, `pyodide` and those below them.

They are made for each Worker that is loaded, around what the runtime gives it.
"""
