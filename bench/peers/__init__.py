"""The systems wakeful is measured against. A peer that does not run here is reported as missing."""
