"""Benchmarks of wakeful beside its peers, measured in one run: `python -m bench.run`.

Every section is one module (`p1_http_increment` and so on) whose docstring states the workload, the
unit and the durability level. Peers live in `bench.peers`; whatever is measured inside one process
lives in `bench.inproc` and runs as a child of its own, so that no subject warms or slows another.
"""
