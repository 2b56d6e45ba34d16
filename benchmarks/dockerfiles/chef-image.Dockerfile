# BUILD_IMAGE with cargo-chef from crates.io, made once before anything is timed.
ARG BUILD_IMAGE=rust:1.85-slim-bookworm
FROM ${BUILD_IMAGE}
ARG CHEF_VERSION=0.1.71
RUN --mount=type=secret,id=ca,target=/etc/ssl/certs/ca-certificates.crt \
    cargo install cargo-chef --locked --version "${CHEF_VERSION}" --root /usr/local
