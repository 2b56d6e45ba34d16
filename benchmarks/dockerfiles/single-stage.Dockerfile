# What the team had: one stage, everything compiled again after every edit. The yardstick of the
# rows "source edit" and "cold".
ARG BUILD_IMAGE=rust:1.85-slim-bookworm
FROM ${BUILD_IMAGE}
WORKDIR /src
COPY . .
RUN --mount=type=secret,id=ca,target=/etc/ssl/certs/ca-certificates.crt \
    cargo build --release --locked
