"""Test tools, shipped: store suites, the simulator and its parts."""
