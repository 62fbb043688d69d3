"""Tables of site.toml for messages to people and to Home Assistant."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationInfo, field_validator

from shared.domain.message_template import FIELDS, SECRET_NAME, escape_of, fill, unknown_fields
from shared.settings.section import Minutes, Section


def _clock_time(text: str) -> str:
    if text and not re.fullmatch(TIME_OF_DAY, text):
        raise ValueError("write a time such as '09:00', or '' for none")
    return text


def _quiet_hours(text: str) -> str:
    if text and not re.fullmatch(f"{TIME_OF_DAY}-{TIME_OF_DAY}", text):
        raise ValueError("write two times such as '22:00-07:00', or '' for none")
    return text


def _template(text: str) -> str:
    if unknown := list(unknown_fields(text)):
        raise ValueError(f"unknown field {{{unknown[0]}}}; write one of {', '.join(f'{{{name}}}' for name in FIELDS)}")
    return text


TIME_OF_DAY = r"([01]\d|2[0-3]):[0-5]\d"
Template = Annotated[str, AfterValidator(_template)]
"""A text with fields such as `{title}` and secrets such as `{secret:NAME}`."""
BROKER_SECRETS = ("password", "client_id")
"""Files in data/secrets/notifier that belong to the broker."""
DEFAULT_BODY = "{" + ", ".join(f'"{name}": "{{{name}}}"' for name in FIELDS) + "}"
MAX_CONTACTS = 20
ContactName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,32}$")]


class Notify(Section):
    """A contact that is notified of incidents and failed services. Without such a table nobody is."""

    kind: Literal["apprise", "webhook"] = "apprise"
    """`apprise`: Telegram, mail, Slack, KakaoTalk, ntfy and more; `webhook`: a templated HTTP request."""
    url: str = Field("", max_length=2000, repr=False)
    """Name of a file in data/secrets/notifier/ with the URL, or the URL itself; empty: a file named as the contact."""
    severity: Literal["warning", "critical"] = Field("warning", alias="from")
    """Lowest severity that is sent. Information is never sent."""
    quiet: Annotated[str, AfterValidator(_quiet_hours)] = ""
    """Quiet hours such as "22:00-07:00": warnings wait until their end and come as one; critical ones are sent."""
    language: Literal["ko", "en"] = "ko"
    """Language of the messages."""
    after: Minutes | None = None
    """Notify this contact only if nobody has acknowledged for so long, such as "15m". Without it: at once."""
    daily: Annotated[str, AfterValidator(_clock_time)] = "09:00"
    """Time of the daily message that says whether all is well; empty: none."""
    method: Literal["POST", "PUT", "GET"] = "POST"
    """Method of a webhook."""
    headers: dict[str, Template] = Field(default_factory=dict, repr=False)
    """Headers of a webhook, such as `{ Authorization = "Bearer {secret:token}" }`."""
    body: Template = Field(DEFAULT_BODY, repr=False)
    """Body of a webhook, with fields such as `{title}` and `{text}`; escaped for the Content-Type, by default JSON."""

    @property
    def content_type(self) -> str:
        """Return the content type of a webhook's body."""
        return _content_type(self.headers)

    @field_validator("url")
    @classmethod
    def _check_url(cls, url: str, info: ValidationInfo) -> str:
        is_webhook = info.data.get("kind") == "webhook"
        if "://" in url and is_webhook and not url.startswith(("http://", "https://")):
            raise ValueError("a webhook's address begins with http:// or https://")
        if "://" not in url and url and (url in BROKER_SECRETS or not re.fullmatch(SECRET_NAME, url)):
            raise ValueError(
                "write a URL such as 'ntfy://ntfy.sh/topic', or the name of a file in data/secrets/notifier/ "
                f"other than {' and '.join(BROKER_SECRETS)}"
            )
        return url

    @field_validator("method", "headers", "body")
    @classmethod
    def _check_webhook(cls, value: Any, info: ValidationInfo) -> Any:
        if info.data.get("kind") != "webhook":
            raise ValueError("this key needs kind = 'webhook'")
        return value

    @field_validator("body")
    @classmethod
    def _check_json(cls, body: str, info: ValidationInfo) -> str:
        content_type = _content_type(info.data.get("headers", {}))
        if "json" in content_type:
            try:
                json.loads(fill(body, dict.fromkeys(FIELDS, "0"), lambda _: "0", escape_of(content_type)))
            except ValueError as error:
                raise ValueError(
                    f"not JSON: {error}; set the header Content-Type if the receiver expects another form"
                ) from None
        return body


def _content_type(headers: Mapping[str, str]) -> str:
    return next((value for key, value in headers.items() if key.lower() == "content-type"), "application/json")


class HomeAssistant(Section):
    """Sensors and incidents in Home Assistant 2024.11 or newer, by MQTT device discovery."""

    enabled: bool = False
    """Describe each sensor on the broker, at `homeassistant/device/…/config`; off: what was described is removed."""
