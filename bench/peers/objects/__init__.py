"""The same objects three times: `native.py` on wakeful, `worker/` in Python and `workerd/` in JavaScript.

Paths of the two Workers are `/class/name/action`, those of native actors /actors/Class/name/action.
"""
