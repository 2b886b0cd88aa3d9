"""`python -m wakeful`: the `wakeful` command."""

from wakeful.cli.main import main

main()
