"""The settings of the private PostgreSQL: what is law (on the command line) and what is taste (in a file)."""

import sys
from pathlib import Path

# On the command line, where neither a file nor ALTER SYSTEM can change them.
LAW = {
    "listen_addresses": "",
    "port": "5432",
    "unix_socket_permissions": "0700",
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
    "logging_collector": "off",
}

# In a file, which an operator of a larger community overrules with ALTER SYSTEM.
TASTE = {
    # Small: the idle server has 150 MB together with Plaza, and the kernel's page cache does the rest.
    "shared_buffers": "32MB",
    "max_connections": "60",
    "work_mem": "4MB",
    "maintenance_work_mem": "32MB",
    "wal_buffers": "1MB",
    "min_wal_size": "32MB",
    "max_wal_size": "256MB",
    "checkpoint_timeout": "10min",
    "huge_pages": "off",
    # Every statement is short: compiling one or starting a worker for it costs more than it saves.
    "jit": "off",
    "max_worker_processes": "0",
    "max_parallel_workers": "0",
    "max_parallel_workers_per_gather": "0",
    "max_parallel_maintenance_workers": "0",
    "max_logical_replication_workers": "0",
    "max_wal_senders": "2",
    "max_replication_slots": "2",
    "autovacuum_max_workers": "2",
    # The outbox is a queue: what is dead in it must go soon.
    "autovacuum_naptime": "10s",
    "update_process_title": "off",
    # A log with the rows of people in it would be a second store that nobody deletes from.
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
    "log_checkpoints": "off",
    "log_line_prefix": "'%m [%p] '",
    "log_timezone": "UTC",
    "timezone": "UTC",
    "datestyle": "'iso, ymd'",
    "default_text_search_config": "'pg_catalog.simple'",
}
TASTE_FROM = {17: {}, 18: {"io_method": "sync"}}  # three I/O processes are not worth it on a small machine

INCLUDED = "plaza.conf"


def law(cluster: Path, sockets: Path, name: str) -> list[str]:
    """The arguments of the server; `name` is shown in the title of each of its processes."""
    settings = LAW | {"unix_socket_directories": str(sockets), "cluster_name": name}
    arguments = ["-D", str(cluster)]
    for setting, value in settings.items():
        arguments += ["-c", f"{setting}={value}"]
    return arguments


def taste(major: int) -> str:
    """The text of the file that the cluster's own settings include."""
    settings = dict(TASTE)
    for since, more in TASTE_FROM.items():
        settings |= more if major >= since else {}
    head = "# Written by Plaza at each start. To overrule a line: ALTER SYSTEM SET ... and restart.\n"
    return head + "".join(f"{setting} = {value}\n" for setting, value in settings.items())


def locale(major: int) -> list[str]:
    """The arguments of initdb for an order of texts that is that of their code points and never changes."""
    if major >= 17:
        return ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]
    return ["--locale=C.UTF-8" if sys.platform == "linux" else "--locale=C"]
