"""nginx returning a constant: one worker process, no log, connections kept open."""

from __future__ import annotations

import shutil
from pathlib import Path

from bench.model import Missing
from bench.servers import HttpSubject

CONFIG = """
daemon off;
worker_processes 1;
pid {directory}/nginx.pid;
error_log stderr error;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    keepalive_requests 1000000000;
    default_type application/json;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    server {{
        listen 127.0.0.1:{port};
        location / {{ return 200 "1"; }}
    }}
}}
"""


def subject() -> HttpSubject:
    """An nginx of our own, below the run's directory."""
    binary = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if binary is None:
        raise Missing("nginx is not installed (Debian package nginx-light)")

    def command(port: int, directory: Path) -> list[str]:
        config = directory / "nginx.conf"
        config.write_text(CONFIG.format(directory=directory.resolve(), port=port))
        return [binary, "-c", str(config.resolve()), "-p", str(directory.resolve())]

    return HttpSubject("nginx constant", command, ready="/", get="/")
