"""What every table is made of."""

from typing import Any, ClassVar

from sqlalchemy import BigInteger, Integer, MetaData
from sqlmodel import Field, SQLModel

METADATA = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# SQLite counts rows only in a column of exactly this type.
ROW_ID = BigInteger().with_variant(Integer, "sqlite")


def ms(**options: Any) -> Any:
    """A column that 32 bits are too few for: milliseconds, or a sum of milligrams."""
    return Field(sa_type=BigInteger, **options)


class Row(SQLModel):
    """Base of every table."""

    metadata: ClassVar[MetaData] = METADATA
