"""The same objects three times: native.py and worker/ on wakeful, workerd/ in JavaScript.

Paths of the two Workers are /class/name/action, those of native actors /actors/Class/name/action.
"""
