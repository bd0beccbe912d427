"""The firmware's version, as status reports it: that of the whole package."""

VERSION = "0.1.0"
