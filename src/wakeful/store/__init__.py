"""Stores: where actors' cells are kept. Each backend passes `wakeful.testing.store_suite`."""
