"""Settings: flag > environment (`PITADA_…`) > `.env` > default. Only the composition root makes them."""

from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Every setting, with its unit and default."""

    model_config = SettingsConfigDict(env_prefix="PITADA_", env_file=".env", extra="ignore", frozen=True)

    data_dir: Path = Field(default=Path("pitada-data"), description="where everything is kept")
    database_url: str | None = Field(default=None, description="database; default: SQLite in the data directory")
    database_password_file: Path | None = Field(default=None, description="file with the database's password")
    broker: Literal["embedded", "external"] = Field(default="embedded", description="in this process, or one that runs")
    broker_host: str = Field(default="127.0.0.1", description="address the broker listens on, or is reached at")
    broker_port: int = Field(default=1883, ge=0, le=65535, description="port of the broker; 0: any free one")
    broker_tls_ca: str | None = Field(default=None, description="certificates to trust; none: plain TCP")
    mqtt_password_file: Path | None = Field(
        default=None, description="file with the broker password of the one service that runs; none: the data directory"
    )
    http_host: str = Field(default="127.0.0.1", description="address the dashboard listens on")
    http_port: int = Field(default=8080, ge=0, le=65535, description="port of the dashboard; 0: any free one")
    health_host: str = Field(default="127.0.0.1", description="address where ingest or dispatch alone answers /healthz")
    health_port: int = Field(default=8081, ge=0, le=65535, description="port of that; 0: any free one")
    public_url: str | None = Field(default=None, description="address that people use")

    @property
    def ledger_url(self) -> str:
        return self.database_url or f"sqlite:///{self.data_dir / 'ledger.db'}"
