"""REST for operators and integrations: `/api/v1`, JSON, errors as `application/problem+json`."""
