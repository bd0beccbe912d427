"""The demo: a whole house, three simulated dispensers, and an operator who orders, cancels and retries."""
