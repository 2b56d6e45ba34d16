# The pattern of cargo-chef's README: plan, cook the dependencies, build. CHEF_IMAGE is BUILD_IMAGE
# with cargo-chef installed.
ARG CHEF_IMAGE
FROM ${CHEF_IMAGE} AS chef
WORKDIR /app

FROM chef AS planner
COPY . .
RUN cargo chef prepare --recipe-path recipe.json

FROM chef AS builder
COPY --from=planner /app/recipe.json recipe.json
RUN --mount=type=secret,id=ca,target=/etc/ssl/certs/ca-certificates.crt \
    cargo chef cook --release --recipe-path recipe.json
COPY . .
RUN --mount=type=secret,id=ca,target=/etc/ssl/certs/ca-certificates.crt \
    cargo build --release --locked
