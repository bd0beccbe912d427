"""The part of pytest, hypothesis and CPython's library that the tests for both Pythons use, for MicroPython."""
