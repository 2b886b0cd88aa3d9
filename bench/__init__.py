"""Benchmarks of wakeful beside its peers, measured in one run: `python -m bench.run`.

Every section is one module (`p1_http_increment` and so on) whose docstring states the workload, the
unit and the durability level. Peers live in `bench.peers`; whatever is measured inside one process
lives in `bench.inproc` and runs as a child of its own, so that no subject warms or slows another.

It needs the Debian packages wrk and nginx-light, and npm once to fetch workerd; what is not there
is reported as missing. A peer that does not fit into wakeful's environment is measured from another
one: CASTY_PYTHON and DURABLE_ACTORS_PYTHON name the interpreter (casty needs Python 3.12).
"""
