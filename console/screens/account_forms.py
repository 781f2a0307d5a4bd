"""The forms about accounts. A password is typed twice into fields that do not show it, and stands nowhere else."""

from collections.abc import Iterator
from typing import Final

from rich.text import Text
from textual.suggester import SuggestFromList
from textual.widget import Widget
from textual.widgets import Input, Static

from console.live.actions.orders import AddAccount, SetPassword
from console.live.order import InvalidOrder
from console.live.views.users import UserRow, name_of
from console.live.words import later, t
from console.screens.form import Form
from protocol.accounts import Role, user_name

_NAME_RULE: Final = later("must be 1 to 64 letters, digits, '.', '_', '@' or '-', with a letter or digit at each end")


def _secret(field: str) -> Input:
    return Input(password=True, id=field, compact=True, select_on_focus=False)


class PasswordForm(Form):
    """Another password for a user."""

    def __init__(self, user: UserRow, plane: str = "") -> None:
        super().__init__(t("Set the password of user {user}", user=name_of(user)), "Set", plane)
        self._user = user

    def lines(self) -> Iterator[Widget]:
        """What will happen, and the password twice."""
        yield Static(Text(t("Every session of the user is over.")), classes="dialog-text")
        yield from self.passwords()

    def passwords(self) -> Iterator[Widget]:
        """The password twice."""
        yield self.line(later("Password"), _secret("password"))
        yield self.line(later("The same again"), _secret("again"))

    def on_mount(self) -> None:
        """Begin with the first field."""
        self.query(Input).first().focus()

    def order(self) -> SetPassword | AddAccount:
        """The order. Raises InvalidOrder."""
        return SetPassword(self._user.user_id, name_of(self._user), self.password())

    def password(self) -> str:
        """What was typed twice. Raises InvalidOrder."""
        first, second = (self.query_one(f"#{field}", Input).value for field in ("password", "again"))
        if not first:
            raise InvalidOrder("password", t("is missing"))
        if first != second:
            self.query_one("#again", Input).value = ""
            raise InvalidOrder("password", t("is not the same in both fields"))
        return first


class AccountForm(PasswordForm):
    """An account for a new user."""

    def __init__(self, plane: str = "") -> None:
        Form.__init__(self, t("New account"), "Make", plane)

    def lines(self) -> Iterator[Widget]:
        """Name and role, and the password twice."""
        roles = SuggestFromList([role.value for role in Role])
        yield self.line(later("Name"), Input(placeholder="alice", id="userName", compact=True, select_on_focus=False))
        role = Input(
            Role.USER.value, placeholder="user", id="role", compact=True, select_on_focus=False, suggester=roles
        )
        yield self.line(later("Role"), role)
        yield from self.passwords()

    def order(self) -> AddAccount:
        """The order. Raises InvalidOrder."""
        try:
            name = user_name(self.value("userName"))
        except ValueError:
            raise InvalidOrder("userName", t(_NAME_RULE)) from None
        if self.value("role") not in list(Role):
            raise InvalidOrder("role", t("must be user, operator or admin"))
        return AddAccount(name, Role(self.value("role")), self.password())
