"""An agent dies before every single call of a rollout, those to the database server and to its accounts included.

Whatever runs of an app can log in at every moment, with the one password that was ever chosen for it on the node.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import pytest

from daemons.agent.domain.steps import Strategy
from daemons.kit.mongo.accounts import Account, DatabaseServer, Phase, realm_of
from daemons.kit.mongo.keeping import AppDatabases, Habits
from tests.support.agent_world import V1, V2
from tests.support.mongo_twin import TwinAccounts, TwinDatabases
from tests.unit.agent.test_deaths import Fate, Universe, dies

SERVER = DatabaseServer("mongo.test", 27017, realm_of("n1"))


@dataclass
class MortalDatabases(TwinDatabases):
    fate: Fate = field(default_factory=Fate)

    def _called(self, method: str) -> None:
        self.fate.call()
        super()._called(method)


@dataclass
class MortalAccounts(TwinAccounts):
    fate: Fate = field(default_factory=Fate)

    async def load(self) -> Sequence[Account]:
        self.fate.call()
        return await super().load()

    async def save(self, account: Account) -> None:
        self.fate.call()
        await super().save(account)


class Served(Universe):
    """A universe with a database server."""

    def __init__(self, strategy: Strategy) -> None:
        super().__init__(strategy)
        self.databases = MortalDatabases(fate=self.fate)
        self.accounts = MortalAccounts(fate=self.fate)
        self.chosen: list[str] = []
        self.world.databases = self.agent_databases

    def agent_databases(self) -> AppDatabases:
        """Of a new process."""
        return AppDatabases(self.databases, self.accounts, SERVER, Habits(), self.new_password)

    def new_password(self) -> str:
        """One that nobody has had before."""
        self.chosen.append(f"password-{len(self.chosen)}")
        return self.chosen[-1]

    def visited(self) -> None:
        """What runs can also log in."""
        super().visited()
        self.all_log_in()

    def all_log_in(self) -> None:
        """Every running container knows a password that the server takes."""
        taken = {password for password, _ in self.databases.users.values()}
        for one in self.engine.containers.values():
            if one.running:
                assert urlsplit(one.spec.environment["MONGODB_URI"]).password in taken


async def test_a_redeployment_that_dies_anywhere_leaves_the_account_as_it_was() -> None:
    for calls in range(200):
        universe = Served(Strategy.START_FIRST)
        await universe.begin()
        died = await dies(universe, calls, V2)
        await universe.live(None, 0)
        universe.all_log_in()
        assert universe.databases.users == {(SERVER.realm, "db_u7_a5"): (universe.chosen[0], "db_u7_a5")}
        assert universe.accounts.accounts[("7", "5")].phase is Phase.READY
        if not died:
            break
    else:
        pytest.fail("the rollout never came to its end")
    assert calls >= 18


async def test_a_first_deployment_that_dies_anywhere_is_made_up_for_by_the_next() -> None:
    for calls in range(200):
        universe = Served(Strategy.START_FIRST)
        universe.fate.check = universe.all_log_in
        died = await dies(universe, calls, V1)
        await universe.live(V1, 3)
        universe.all_log_in()
        assert universe.world.serving() == "sha256:1"
        assert len(universe.databases.users) == 1
        if not died:
            break
    else:
        pytest.fail("the rollout never came to its end")
    assert calls >= 12
