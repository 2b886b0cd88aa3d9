"""The Cloudflare face: an unchanged Python Worker, its Durable Objects included, on CPython.

What only Workers need is in the extra `workers`; code for actors imports nothing of this package.
"""

try:
    import ada_url  # noqa: F401 - is it there?
    import greenlet  # noqa: F401 - is it there?
    import multipart  # noqa: F401 - is it there?
except ModuleNotFoundError as error:
    raise ImportError(
        "Cloudflare Workers need packages that are not installed. Install them: "
        f'pip install "wakeful[workers]" ({error.name} is missing)',
        name=__name__,
    ) from error
