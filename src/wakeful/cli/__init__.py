"""The command line: parse, print, exit code.

Each command imports what is slow when it runs, so that `wakeful --help` is quick.
"""
