# `docker build -t otel-cost .` builds the collector; `--target demo` the example app of docker-compose.yml.
FROM python:3.13-slim-bookworm AS demo

WORKDIR /app
COPY pyproject.toml hatch_build.py README.md LICENSE NOTICE ./
COPY otel_cost ./otel_cost
COPY collector ./collector
COPY examples ./examples
RUN pip install --no-cache-dir ".[demo]"
RUN useradd --uid 10001 --create-home app
USER app


# This image has a C compiler, which the next one does without.
FROM python:3.13-bookworm AS wheel

WORKDIR /app
COPY pyproject.toml hatch_build.py README.md LICENSE NOTICE ./
COPY otel_cost ./otel_cost
COPY collector ./collector
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels .


FROM python:3.13-slim-bookworm AS collector

WORKDIR /app
RUN --mount=type=bind,from=wheel,source=/wheels,target=/wheels \
  pip install --no-cache-dir "$(echo /wheels/*.whl)[collector,tokens]"

# The ledger lives in the volume; nothing runs as root.
RUN useradd --uid 10001 --create-home otel-cost && mkdir /data && chown otel-cost /data
USER otel-cost
VOLUME /data
WORKDIR /data

EXPOSE 4317 4318 8321 9464 13133
HEALTHCHECK --interval=5s --timeout=3s --start-period=20s \
  CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:13133/', timeout=2)"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["otel-cost"]
CMD ["collect"]
