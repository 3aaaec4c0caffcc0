"""`beforehand web` and `beforehand worker`: one process of each kind, for those who start them one by one."""

import argparse
import logging.config

from beforehand.config.commands import require_database, use_django
from beforehand.config.environment import Environment, current_environment

_GRACE = 10  # seconds: a live page's stream would otherwise keep the server from ending


def run_web(environment: Environment, _: argparse.Namespace) -> int:
    """Serve the web until a signal comes."""
    require_database(environment)
    current_environment()  # a wrong setting is told here, and not as a traceback of the server
    logging.config.dictConfig(environment.logging())
    import uvicorn

    uvicorn.run(
        "beforehand.config.asgi:served",
        factory=True,
        host=environment.bind.host,
        port=environment.bind.port,
        workers=environment.web_workers,
        loop="uvloop",
        http="httptools",
        proxy_headers=environment.behind_proxy,
        forwarded_allow_ips=",".join(environment.trusted_proxies) or None,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=_GRACE,
    )
    return 0


def run_worker(environment: Environment, _: argparse.Namespace) -> int:
    """Do the background work until a signal comes."""
    require_database(environment)
    use_django()
    from beforehand.config.worker import run

    run()
    return 0
