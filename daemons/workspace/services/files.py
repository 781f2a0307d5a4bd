"""What editors do with an app's files: look at the tree, read and write texts, make, move and remove."""

from dataclasses import dataclass

from daemons.workspace.domain.files import MOST_TEXT_BYTES, Entry, Guard, NotText, TooLarge
from daemons.workspace.domain.paths import Parts
from daemons.workspace.domain.search import Found, SearchLimits, Wanted
from daemons.workspace.domain.tree import Listing, TreeLimits
from daemons.workspace.ports import Activity, Use
from daemons.workspace.ports.files import Ensure, Tree, Trees


@dataclass(frozen=True, slots=True)
class Files:
    """The use cases; each counts as use of the workspace."""

    trees: Trees
    activity: Activity
    ensure: Ensure

    async def ensure_app(self, user_id: str, app_id: str) -> None:
        """The app's folder is there and its user's container runs."""
        await self.ensure.ensured(user_id)
        self.activity.touch(user_id, Use.FILES)
        await self.trees.make_app(user_id, app_id)

    async def listing(self, user_id: str, app_id: str, path: Parts, limits: TreeLimits) -> Listing:
        """Part of the tree."""
        return await self.used(user_id, app_id).listing(path, limits)

    async def text(self, user_id: str, app_id: str, path: Parts) -> tuple[str, Entry]:
        """A text. Raises NotText and TooLarge."""
        data, entry = await self.used(user_id, app_id).read(path, MOST_TEXT_BYTES)
        try:
            return data.decode(), entry
        except UnicodeDecodeError:
            raise NotText("the file is not UTF-8; download it") from None

    async def write(self, user_id: str, app_id: str, path: Parts, text: str, guard: Guard, *, parents: bool) -> Entry:
        """Replace a text, or make one, as a whole."""
        data = text.encode()
        if len(data) > MOST_TEXT_BYTES:
            raise TooLarge(f"a text may have at most {MOST_TEXT_BYTES} bytes; upload it")
        async with self.used(user_id, app_id).draft() as draft:
            await draft.append(data)
            return await draft.keep(path, guard, parents=parents)

    async def search(self, user_id: str, app_id: str, path: Parts, wanted: Wanted, limits: SearchLimits) -> Found:
        """Names and contents."""
        return await self.used(user_id, app_id).search(path, wanted, limits)

    async def make_folder(self, user_id: str, app_id: str, path: Parts, *, parents: bool) -> None:
        """A folder."""
        await self.used(user_id, app_id).make_folder(path, parents=parents)

    async def remove(self, user_id: str, app_id: str, path: Parts) -> None:
        """A file, or a folder with all that is in it."""
        await self.used(user_id, app_id).remove(path)

    async def move(self, user_id: str, app_id: str, source: Parts, target: Parts, *, overwrite: bool) -> None:
        """Rename within the app."""
        await self.used(user_id, app_id).move(source, target, overwrite=overwrite)

    def used(self, user_id: str, app_id: str) -> Tree:
        """The app's files, for somebody who works on them now."""
        self.activity.touch(user_id, Use.FILES)
        return self.trees.app(user_id, app_id)
