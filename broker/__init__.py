"""The brokers: one embedded in the process, and the configuration of Mosquitto, both from the same access rules."""
