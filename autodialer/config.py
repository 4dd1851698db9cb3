"""The settings, read in one place from environment variables and a `.env` file, checked at start."""

import ipaddress
import os
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from autodialer.errors import SettingsError
from autodialer.logs import LOG_FORMATS

DEFAULT_DATA = "sqlite"
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

WHAT_IT_TAKES = {
    "DIALER_HTTP": "host:port, for example 127.0.0.1:8080",
    "DIALER_PUBLIC_URL": "the http:// or https:// address that users type",
    "DIALER_TRUSTED_PROXY": "the IP address of a reverse proxy in front",
    "DIALER_DATA": "a folder that can be written",
    "DIALER_DATABASE_URL": "an SQLAlchemy URL, for example sqlite:///sqlite/db.sqlite3",
    "DIALER_ADMIN_LOGIN": "a login of 1 to 64 characters",
    "DIALER_ADMIN_PASSWORD": "a password of at least 8 characters",
    "DIALER_SIP_ADDRESS": "an IP address of this machine",
    "DIALER_SIP_PORT": "a UDP port, 1024 to 65535",
    "DIALER_RTP_PORTS": "two UDP ports, low-high, for example 10000-19999",
    "DIALER_DENY_NETWORKS": "networks with commas between, for example 127.0.0.0/8,169.254.0.0/16; empty: none",
    "DIALER_DRAIN_S": "seconds, 0 to 3600",
    "DIALER_SOUND_LUFS": "loudness in LUFS, -40 to -10",
    "DIALER_TRACE_CALLS": "how many calls, 0 (none) to 1000000",
    "DIALER_TRACE_DAYS": "days, more than 0, at most 3650",
    "DIALER_CALLS_DAYS": "days, 0 (for ever) or 7 to 36500",
    "DIALER_SUBSCRIBERS_DAYS": "days, 0 (for ever) or 7 to 36500",
    "DIALER_WEBHOOK_NETWORKS": "networks in CIDR form between commas, for example 192.168.1.0/24,fd00::/8",
    "DIALER_DELIVERIES_DAYS": "days, 1 to 365",
    "DIALER_MAX_CALLS_DAY": "how many calls, 0 (no ceiling) to 10000000",
    "DIALER_MAX_MINUTES_DAY": "how many minutes, 0 (no ceiling) to 10000000",
    "DIALER_AUDIT_DAYS": "days, 0 (for ever) to 36500",
    "DIALER_LOG": "DEBUG, INFO, WARNING or ERROR",
    "DIALER_LOG_FORMAT": "text or json",
    "DIALER_METRICS_NETWORKS": "networks with commas between, for example 10.0.0.0/8,fd00::/8",
    "JWT_KEY": "the text that the prototype's clients sign their requests with",
}
CLOSED = (
    # This machine, nobody's, link-local with the metadata of clouds, multicast, reserved.
    *("127.0.0.0/8", "0.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4", "240.0.0.0/4"),
    *("::1/128", "::/128", "fe80::/10", "ff00::/8"),
    # Metadata that is not link-local: AWS by IPv6, Alibaba, Oracle.
    *("fd00:ec2::254/128", "100.100.100.200/32", "192.0.0.192/32"),
)
"""Networks where no trunk leads unless the service's own SIP address is in them."""
SECRET = frozenset({"DIALER_ADMIN_PASSWORD", "JWT_KEY"})
"""No message shows the values of these."""


class Settings(BaseSettings):
    """What the service is told from outside. Every field is one variable of docs/deploy.md."""

    model_config = SettingsConfigDict(env_prefix="DIALER_", extra="ignore", frozen=True, populate_by_name=True)

    http: str = "127.0.0.1:8080"
    public_url: str | None = None
    trusted_proxy: str | None = None
    data: Path = Path(DEFAULT_DATA)
    database_url: str | None = None
    admin_login: Annotated[str | None, Field(min_length=1, max_length=64)] = None
    admin_password: Annotated[str | None, Field(min_length=8, max_length=256, repr=False)] = None
    sip_address: str | None = None
    sip_port: Annotated[int, Field(ge=1024, le=65535)] = 5060
    rtp_ports: Annotated[tuple[int, int], NoDecode] = (10000, 19999)
    deny_networks: Annotated[tuple[str, ...], NoDecode] = CLOSED
    drain_s: Annotated[float, Field(ge=0, le=3600)] = 30.0
    sound_lufs: Annotated[float, Field(ge=-40, le=-10)] = -20.0
    trace_calls: Annotated[int, Field(ge=0, le=1_000_000)] = 10_000
    trace_days: Annotated[float, Field(gt=0, le=3650)] = 7.0
    calls_days: Annotated[int, Field(ge=0, le=36_500)] = 0
    subscribers_days: Annotated[int, Field(ge=0, le=36_500)] = 0
    webhook_networks: Annotated[tuple[Network, ...], NoDecode] = ()
    """Where webhooks and notices may go beside the open internet."""
    deliveries_days: Annotated[int, Field(ge=1, le=365)] = 7
    audit_days: Annotated[int, Field(ge=0, le=36_500)] = 0
    max_calls_day: Annotated[int, Field(ge=0, le=10_000_000)] = 50_000
    max_minutes_day: Annotated[int, Field(ge=0, le=10_000_000)] = 20_000
    log: str = "INFO"
    log_format: str = "text"
    metrics_networks: Annotated[tuple[Network, ...], NoDecode] = ()
    """Clients there may read /metrics without a token, as this machine may."""
    jwt_key: Annotated[str | None, Field(validation_alias="JWT_KEY", repr=False)] = None
    """Named as the prototype named it. None: the prototype's calls are off."""

    @field_validator("http")
    @classmethod
    def _check_http(cls, value: str) -> str:
        host, colon, port = value.rpartition(":")
        if not colon or not host or not port.isdigit() or not 0 < int(port) < 65536:
            raise ValueError("not host:port")
        return value

    @field_validator("sip_address")
    @classmethod
    def _check_sip_address(cls, value: str | None) -> str | None:
        return str(ipaddress.ip_address(value)) if value else None

    @field_validator("webhook_networks", "metrics_networks", mode="before")
    @classmethod
    def _split_networks(cls, value: Any) -> Any:
        return tuple(map(ipaddress.ip_network, _between_commas(value))) if isinstance(value, str) else value

    @field_validator("deny_networks", mode="before")
    @classmethod
    def _split_closed_networks(cls, value: Any) -> Any:
        return (
            tuple(str(ipaddress.ip_network(each)) for each in _between_commas(value))
            if isinstance(value, str)
            else value
        )

    @field_validator("rtp_ports", mode="before")
    @classmethod
    def _split_rtp_ports(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        low, _, high = value.partition("-")
        return int(low), int(high)

    @field_validator("rtp_ports")
    @classmethod
    def _check_rtp_ports(cls, value: tuple[int, int]) -> tuple[int, int]:
        if not 1024 <= value[0] <= value[1] <= 65535:
            raise ValueError("not low-high between 1024 and 65535")
        return value

    @field_validator("calls_days", "subscribers_days")
    @classmethod
    def _check_days(cls, value: int) -> int:
        # The weekly cap on calls of a number counts the calls of seven days, by their numbers: forgetting a callbase
        # blanks these too.
        if 0 < value < 7:
            raise ValueError("less than a week")
        return value

    @field_validator("jwt_key")
    @classmethod
    def _check_jwt_key(cls, value: str | None) -> str | None:
        # `JWT_KEY=` switches the calls off: an empty key would let everybody sign.
        return value or None

    @field_validator("log")
    @classmethod
    def _check_log(cls, value: str) -> str:
        if value.upper() not in ("DEBUG", "INFO", "WARNING", "ERROR"):
            raise ValueError("not a log level")
        return value.upper()

    @field_validator("log_format")
    @classmethod
    def _check_log_format(cls, value: str) -> str:
        if value.lower() not in LOG_FORMATS:
            raise ValueError("not a format of the log")
        return value.lower()

    @property
    def http_host(self) -> str:
        """Address that the API listens on."""
        return self.http.rpartition(":")[0]

    @property
    def http_port(self) -> int:
        """TCP port that the API listens on."""
        return int(self.http.rpartition(":")[2])

    @property
    def base_url(self) -> str:
        """The address users type, without a slash at the end; also the issuer of access tokens."""
        return (self.public_url or f"http://{self.http}").rstrip("/")

    @property
    def url(self) -> str:
        """SQLAlchemy URL of the database."""
        return self.database_url or sqlite_url((self.data / "db.sqlite3").resolve())

    @property
    def sounds(self) -> Path:
        """Folder of the stored sounds."""
        return self.data / "sounds"

    @property
    def keys(self) -> Path:
        """Folder of the generated keys, mode 0700."""
        return self.data / "keys"


def _between_commas(value: str) -> list[str]:
    return [each.strip() for each in value.split(",") if each.strip()]


def sqlite_url(path: Path) -> str:
    """SQLAlchemy's URL of a SQLite file. Quoted is no more than what would end the path or be taken for quoted."""
    return f"sqlite:///{str(path).replace('%', '%25').replace('?', '%3F')}"


def variable_of(name: str) -> str:
    """The environment variable of a field of `Settings`."""
    return str(Settings.model_fields[name].validation_alias or f"DIALER_{name.upper()}")


def load_settings() -> Settings:
    """Read and check the settings.

    `.env` of the working directory is read first, then `.env` of the data folder; variables of the environment win.
    Raises SettingsError that names the variable and what it takes.
    """
    data = os.environ.get("DIALER_DATA", DEFAULT_DATA)
    try:
        settings = Settings(_env_file=(Path(data) / ".env", ".env"))
        settings.data.mkdir(parents=True, exist_ok=True)
    except ValidationError as exc:
        lines = []
        for error in exc.errors():
            name = str(error["loc"][0])
            variable = variable_of(name) if name in Settings.model_fields else name
            takes = WHAT_IT_TAKES.get(variable, error["msg"])
            secret = variable in SECRET
            lines.append(f"{variable} takes {takes}" + ("" if secret else f"; it is {error['input']!r}"))
        raise SettingsError("; ".join(lines)) from exc
    except OSError as exc:
        raise SettingsError(f"DIALER_DATA takes {WHAT_IT_TAKES['DIALER_DATA']}; {exc.strerror}: {data!r}") from exc
    return settings
