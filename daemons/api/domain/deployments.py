"""What a deployment asks the control plane for: the owner's wishes, completed with the platform's defaults."""

import re
from dataclasses import dataclass
from typing import Final

_PLACES: Final = {"{userId}": "user", "{appId}": "app"}
#: What engines may take for the beginning of an id of any image that they have.
_IMAGE_ID: Final = re.compile(r"[0-9a-f]{1,64}")
_OF_AN_APP: Final = re.compile(r"u[1-9][0-9]*-app[a-z0-9-]+")


class InvalidDeployment(Exception):
    """The deployment asks for what is not the app's own; `data` names the field."""

    def __init__(self, field: str, rule: str) -> None:
        super().__init__(f"{field}: {rule}")
        self.data = {"fields": [field]}


@dataclass(frozen=True, slots=True)
class Hosting:
    """Where repositories and images live."""

    git_host: str
    git_port: int
    git_owner: str = "funai"
    repository_template: str = "u{userId}-app{appId}"
    git_ref: str = "main"
    registry: str | None = None
    namespace: str | None = None

    def repository(self, user_id: int, app_id: int) -> str:
        """`owner/name` of the app's repository."""
        name = self.repository_template.replace("{userId}", str(user_id)).replace("{appId}", str(app_id))
        return f"{self.git_owner}/{name}"

    def app_of(self, repository: str) -> tuple[int, int] | None:
        """The user id and app id in `owner/name`, if it is an app's repository."""
        parts = re.split(r"(\{userId\}|\{appId\})", self.repository_template)
        pattern, seen = re.escape(f"{self.git_owner}/"), set[str]()
        for part in parts:
            name = _PLACES.get(part)
            if name is None:
                pattern += re.escape(part)
            else:
                pattern += f"(?P={name})" if name in seen else f"(?P<{name}>[1-9][0-9]{{0,17}})"
                seen.add(name)
        found = re.fullmatch(pattern, repository)
        return None if found is None else (int(found["user"]), int(found["app"]))

    def repository_url(self, user_id: int, app_id: int) -> str:
        """Where the app's source is pushed to and cloned from."""
        return f"ssh://git@{self.git_host}:{self.git_port}/{self.repository(user_id, app_id)}.git"


def check_image(image: str | None, user_id: int, app_id: int) -> None:
    """Raises InvalidDeployment for an image that was built for another app: its layers are its owner's."""
    if image is None:
        return
    if _IMAGE_ID.fullmatch(image):
        raise InvalidDeployment("image", "could be the id of any image; say its tag, or the registry that it is in")
    path = image.partition("@")[0].rpartition("/")[2].partition(":")[0]
    if _OF_AN_APP.fullmatch(path) and path != f"u{user_id}-app{app_id}":
        raise InvalidDeployment("image", "must not be the image of another app")
