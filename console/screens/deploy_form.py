"""The forms that trigger deployments: of any app at the control plane, and of somebody's app as its owner would."""

from collections.abc import Collection, Iterator
from typing import Final

from rich.text import Text
from textual.suggester import SuggestFromList
from textual.widget import Widget
from textual.widgets import Input, Static

from console.live.actions.orders import DeployApp, DeployForOwner
from console.live.order import Wish, known, newest_of, order, owners_order, wish_of
from console.live.views.apps import AppRow
from console.live.words import later, t
from console.screens.form import Form
from protocol.jobs import JobView, StoredPayload

_FIELDS: Final = (
    ("appId", later("App"), "20001"),
    ("userId", later("Owner (user id)"), "1"),
    ("repoSshUrl", later("Repository"), "ssh://git@host:2222/funai/u1-app20001.git"),
    ("gitRef", later("Branch, tag, commit"), "main"),
    ("image", later("or ready image"), later("registry/repository:tag, deployed without a build")),
)


class DeployForm(Form):
    """Everything about the order is typed, or learned from what was ordered before."""

    def __init__(
        self, wish: Wish, earlier: StoredPayload | None, jobs: Collection[JobView] = (), plane: str = ""
    ) -> None:
        """`jobs` are those that the form learns from: what was ordered before completes what is typed."""
        super().__init__(t("Deploy an app"), "Deploy", plane)
        self._jobs = jobs
        self._known = known(jobs)
        self._wish = wish
        self._earlier = earlier

    def lines(self) -> Iterator[Widget]:
        """A line for each field."""
        wish = self._wish
        values = (wish.app_id, wish.user_id, wish.repo, wish.git_ref, wish.image)
        for (field, label, example), value in zip(_FIELDS, values, strict=True):
            yield self.line(label, self._field(field, value, example))

    def _field(self, field: str, value: str, example: str) -> Input:
        words = SuggestFromList(self._known.get(field, ()), case_sensitive=False)
        return Input(value, placeholder=t(example), id=field, compact=True, select_on_focus=False, suggester=words)

    def on_input_blurred(self, event: Input.Blurred) -> None:
        """An app that was deployed before: what is still empty is as it was then."""
        if event.input.id != "appId":
            return
        earlier = newest_of(event.value.strip(), self._jobs)
        if earlier is None:
            return
        self._earlier, wish = earlier, wish_of(earlier)
        filled = {"userId": wish.user_id, "repoSshUrl": wish.repo, "gitRef": wish.git_ref}
        if self.value("image"):
            filled = {"userId": wish.user_id}
        for field, value in filled.items():
            if not self.value(field):
                self.query_one(f"#{field}", Input).value = value

    def on_mount(self) -> None:
        """Begin where something is missing."""
        missing = [field for field in ("appId", "userId") if not self.value(field)]
        self.query_one(f"#{missing[0] if missing else 'gitRef'}", Input).focus()

    def order(self) -> DeployApp:
        """The order as it was typed. Raises InvalidOrder."""
        wish = Wish(*(self.value(field) for field in ("appId", "userId", "gitRef", "repoSshUrl", "image")))
        return DeployApp(order(wish, self._earlier))


class OwnersDeployForm(Form):
    """Only the source is chosen: whose app it is, where it is built from and what it is called says the API entry."""

    def __init__(self, app: AppRow, room: str, jobs: Collection[JobView] = (), plane: str = "") -> None:
        """`room` says how many places its owner has left, `jobs` are what the form learns from."""
        name = f"{app.app_id} ({app.app_name})" if app.app_name else app.app_id
        super().__init__(t("Deploy app {app} of user {user}", app=name, user=app.user_id or "?"), "Deploy", plane)
        self._of = app
        self._room = room
        mine = [job for job in jobs if job.app_id == app.app_id]
        self._known = known(mine)
        self._earlier = newest_of(app.app_id, mine)

    def lines(self) -> Iterator[Widget]:
        """What will happen, and a line for each source."""
        repository = t("Built from {repository}, in the name of its owner.", repository=self._of.repo_ssh_url or "?")
        kept = t("What was ordered beside the source last time is ordered again.")
        yield Static(Text("\n".join(filter(None, (repository, kept, self._room)))), classes="dialog-text")
        for field, label, example in _FIELDS[3:]:
            value = (self._earlier.git_ref or "") if self._earlier is not None and field == "gitRef" else ""
            words = SuggestFromList(self._known.get(field, ()), case_sensitive=False)
            own = Input(value, placeholder=t(example), id=field, compact=True, select_on_focus=False, suggester=words)
            yield self.line(label, own)

    def on_mount(self) -> None:
        """Begin with the source."""
        self.query_one("#gitRef", Input).focus()

    def order(self) -> DeployForOwner:
        """The order as it was typed: a ready image wins over a branch that was filled in. Raises InvalidOrder."""
        ref, image = self.value("gitRef"), self.value("image")
        if image and self._earlier is not None and ref == self._earlier.git_ref:
            ref = ""
        owners_order(None, ref, image)
        return DeployForOwner(self._of.app_id, ref, image)
