"""In-process measurements of wakeful: each module is run as a child and prints one JSON object."""
