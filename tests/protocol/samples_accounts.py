"""One full value of every wire model of accounts."""

from protocol import accounts
from protocol.accounts import Role
from protocol.base import Wire
from tests.protocol.samples import LATER, MOMENT

WORDS = "correct horse battery staple"
ACCESS, REFRESH = "header.claims.signature", "fur_" + "r" * 43

ACCOUNT_SAMPLES: tuple[Wire, ...] = (
    accounts.Login(user_name="alice", password=WORDS),
    accounts.Refresh(refresh_token=REFRESH),
    accounts.LoggedIn(
        access_token=ACCESS,
        expires_in=900,
        refresh_token=REFRESH,
        refresh_expires_in=604800,
        user_id=7,
        user_name="alice",
        role=Role.OPERATOR,
    ),
    accounts.Logout(everywhere=True),
    accounts.ChangePassword(current_password=WORDS, new_password=WORDS[::-1]),
    accounts.AddApiKey(title="laptop", role=Role.USER, days=90),
    accounts.OfApiKey(key_id=3),
    accounts.ApiKeyInfo(id=3, title="laptop", role=Role.USER, create_time=MOMENT, expire_time=LATER),
    accounts.MadeApiKey(
        id=3, title="laptop", role=Role.USER, create_time=MOMENT, expire_time=LATER, key="fuk_" + "k" * 43
    ),
    accounts.AccountView(
        user_id=7, user_name="alice", role=Role.ADMIN, enabled=True, create_time=MOMENT, last_login_time=MOMENT
    ),
    accounts.CreateAccount(user_name="alice", password=WORDS, role=Role.USER, user_id="7"),
    accounts.SetAccountEnabled(user_id="7", enabled=False),
    accounts.SetAccountRole(user_id="7", role=Role.OPERATOR),
    accounts.SetAccountPassword(user_id="7", password=WORDS),
)
