"""Facets: optional behaviour of an actor type, each written against wakeful.facet only."""
