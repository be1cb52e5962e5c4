# One wheel is built in the first stage; the second only installs it; the image is the second's files and nothing else.
FROM debian:trixie-slim AS build
RUN apt-get update \
 && apt-get install --yes --no-install-recommends ca-certificates cargo gcc libc6-dev python3 python3-venv \
 && rm -rf /var/lib/apt/lists/*
RUN python3 -m venv /opt/maturin && /opt/maturin/bin/pip install --no-cache-dir 'maturin>=1.16,<2'
WORKDIR /src
COPY Cargo.toml Cargo.lock pyproject.toml README.md LICENSE LICENSE-MIT LICENSE-APACHE ./
COPY rust rust
COPY python python
RUN /opt/maturin/bin/maturin build --release --out /dist

FROM debian:trixie-slim AS install
RUN apt-get update \
 && apt-get install --yes --no-install-recommends ca-certificates python3 python3-venv \
 && rm -rf /var/lib/apt/lists/*
COPY --from=build /dist /dist
RUN python3 -m venv /opt/backendify \
 && /opt/backendify/bin/pip install --no-cache-dir /dist/*.whl \
 && /opt/backendify/bin/pip uninstall --yes pip \
 && apt-get purge --yes --auto-remove python3-venv \
 && rm -rf /dist /usr/local/share/*.pem \
 && useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin backendify

# From scratch, so that no environment of the build (proxies, certificate settings, caches) is inherited.
FROM scratch
COPY --from=install / /
ENV PATH=/opt/backendify/bin:/usr/bin:/bin PYTHONUNBUFFERED=1
USER 10001:10001
EXPOSE 9000
# Exec form: SIGTERM reaches the service itself, which drains within the 10 s that engines allow.
ENTRYPOINT ["backendify"]
