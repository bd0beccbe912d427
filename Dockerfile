# One image for every service of ours; what a container does is its command: see docker-compose.yml.
FROM python:3.12-slim AS build
RUN pip install --no-cache-dir --disable-pip-version-check "uv>=0.9,<1"
ENV UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy UV_PYTHON_DOWNLOADS=never UV_PROJECT_ENVIRONMENT=/opt/pitada
WORKDIR /src
# The dependencies first: they change seldom, and then only this layer is made anew.
COPY pyproject.toml uv.lock README.md LICENSE ./
RUN uv sync --locked --no-dev --no-install-project
COPY protocol protocol
COPY broker broker
COPY firmware firmware
COPY services services
COPY dashboard dashboard
COPY simulators simulators
COPY pitada pitada
RUN uv sync --locked --no-dev --no-editable

FROM python:3.12-slim
# openssl: `pitada secrets` and `pitada certificates`.
RUN apt-get update && apt-get install -y --no-install-recommends openssl && rm -rf /var/lib/apt/lists/*
# Mosquitto runs as the same number, so that it can read the files that are written for it.
RUN useradd --uid 10001 --create-home --home-dir /var/lib/pitada pitada && chmod 0755 /var/lib/pitada \
    && install -d -o 10001 -g 10001 -m 0700 /broker
COPY --from=build /opt/pitada /opt/pitada
ENV PATH=/opt/pitada/bin:$PATH PYTHONUNBUFFERED=1 PITADA_DATA_DIR=/var/lib/pitada
USER 10001:10001
WORKDIR /var/lib/pitada
ENTRYPOINT ["pitada"]
CMD ["--help"]
