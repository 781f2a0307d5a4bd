"""A real Galera cluster of three nodes on one machine, behind a real HAProxy that sends all sessions to one of them."""

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pymysql

from tests.support import real

ROOT = Path(__file__).parents[2]
CONFIGURATION = ROOT / "packaging" / "haproxy" / "database.cfg"
_LIBRARIES = ("/usr/lib/galera/libgalera_smm.so", "/usr/lib/libgalera_smm.so", "/usr/lib64/galera-4/libgalera_smm.so")
_PASSWORD = "tests-only"


class Node:
    """One server of the cluster."""

    def __init__(self, folder: Path, library: str, ports: tuple[int, int, int], group: Sequence[int]) -> None:
        self.folder = folder
        self.port, replication, transfer = ports
        self._argv = [
            real.program("mariadbd", "mariadb-server"),
            "--no-defaults",
            "--user=root",
            f"--datadir={folder}/data",
            f"--socket={folder}/sock",
            f"--port={self.port}",
            "--bind-address=127.0.0.1",
            f"--pid-file={folder}/pid",
            "--skip-name-resolve",
            "--character-set-server=utf8mb4",
            "--binlog-format=ROW",
            "--innodb-autoinc-lock-mode=2",
            "--innodb-flush-log-at-trx-commit=1",
            "--wsrep-on=ON",
            f"--wsrep-provider={library}",
            f"--wsrep-provider-options=base_port={replication};gcache.size=32M",
            f"--wsrep-node-address=127.0.0.1:{replication}",
            f"--wsrep-sst-receive-address=127.0.0.1:{transfer}",
            "--wsrep-sst-method=rsync",
            "--wsrep-cluster-name=tests",
            "--wsrep-cluster-address=gcomm://" + ",".join(f"127.0.0.1:{port}" for port in group),
        ]
        self._child: subprocess.Popen[bytes] | None = None

    def install(self) -> None:
        """Make its data folder."""
        self.folder.mkdir(parents=True)
        install = real.program("mariadb-install-db", "mariadb-server")
        argv = [install, "--no-defaults", f"--datadir={self.folder}/data", "--user=root", "--skip-test-db"]
        method = "--auth-root-authentication-method=normal"
        subprocess.run([*argv, method], check=True, capture_output=True, env=os.environ | {"TMPDIR": str(self.folder)})
        (self.folder / "init.sql").write_text(
            "CREATE USER IF NOT EXISTS root@'127.0.0.1';\n"
            f"ALTER USER root@'127.0.0.1' IDENTIFIED BY '{_PASSWORD}';\n"
            "GRANT ALL ON *.* TO root@'127.0.0.1' WITH GRANT OPTION;\n"
        )

    def start(self, *, first: bool = False) -> None:
        """Start it and wait until it is a member in sync."""
        # Those that join get the first one's accounts with its data.
        found = ["--wsrep-new-cluster", f"--init-file={self.folder}/init.sql"] if first else []
        argv = [*self._argv, *found]
        with (self.folder / "log").open("ab") as output:
            self._child = subprocess.Popen(argv, stdout=output, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
        real.wait_until(self.synced, f"the synchronisation of {self.folder.name}", 120)

    def synced(self) -> bool:
        """Whether it takes part."""
        try:
            connection = pymysql.connect(host="127.0.0.1", port=self.port, user="root", password=_PASSWORD)
        except pymysql.err.MySQLError:
            return False
        with connection, connection.cursor() as cursor:
            cursor.execute("SHOW GLOBAL STATUS LIKE 'wsrep_local_state_comment'")
            return bool(cursor.fetchall()[0][1] == "Synced")

    def ask(self, statement: str) -> Sequence[tuple[object, ...]]:
        """Rows from this node itself."""
        connection = pymysql.connect(host="127.0.0.1", port=self.port, user="root", password=_PASSWORD, autocommit=True)
        with connection, connection.cursor() as cursor:
            cursor.execute(statement)
            return list(cursor.fetchall())

    @property
    def pid(self) -> int:
        """Of the running process."""
        assert self._child is not None
        return self._child.pid

    def kill(self) -> None:
        """As a power cut ends it."""
        if self._child is not None:
            self._child.kill()
            self._child.wait()
            self._child = None


@contextmanager
def galera(folder: Path) -> Iterator[tuple[str, Sequence[Node]]]:
    """The URL of the writer behind HAProxy, without a database's name, and the nodes in its order."""
    library = next((path for path in _LIBRARIES if Path(path).exists()), None)
    if library is None:
        real.missing("libgalera_smm.so", "the package galera-4")
    ports = [(real.free_port(), real.free_port(), real.free_port()) for _ in range(3)]
    group = [replication for _, replication, _ in ports]
    nodes = [Node(folder / f"g{number}", library, each, group) for number, each in enumerate(ports)]
    bind = real.free_port()
    environment = {"PATH": os.environ["PATH"], "DB_BIND": f"127.0.0.1:{bind}"}
    environment |= {f"DB_{number + 1}": f"127.0.0.1:{node.port}" for number, node in enumerate(nodes)}
    haproxy = [real.program("haproxy", "haproxy"), "-db", "-f", str(CONFIGURATION)]
    with ExitStack() as stack:
        for number, node in enumerate(nodes):
            stack.callback(node.kill)
            if number == 0:
                node.install()
            else:
                (node.folder / "data").mkdir(parents=True)
                # Started by root, rsync's server writes as nobody what it gets.
                shutil.chown(node.folder / "data", "nobody", "nogroup")
            node.start(first=number == 0)
        stack.enter_context(real.process(haproxy, folder / "haproxy.log", env=environment))
        real.wait_until(lambda: real.listening(bind), "HAProxy's start")
        yield f"mysql://root:{_PASSWORD}@127.0.0.1:{bind}", nodes
