# Images from scratch: the static binary, its user, CA certificates, nothing else.
#
#   docker build -t servicenow-kafka-bridge .
#   docker build --target simulated-instance -t servicenow-sim .      for the demo of docker-compose.yml
#
# Without git in the build the version line gets its commit from --build-arg REVISION and its day from
# --build-arg SOURCE_DATE_EPOCH (seconds since 1970).

# The channel of rust-toolchain.toml.
ARG RUST=1.95.0
FROM rust:${RUST}-bookworm AS toolchain
RUN apt-get update && apt-get install -y --no-install-recommends g++ make musl-tools perl python3 \
    && rm -rf /var/lib/apt/lists/*
# The toolchain of the image, without the components that rust-toolchain.toml names for development.
ARG RUST
ENV RUSTUP_TOOLCHAIN=$RUST
RUN rustup target add "$(uname -m)-unknown-linux-musl"
# The name stays out of the binary: packaging/static checks that no such path is left in it.
WORKDIR /bridge-source
COPY . .

FROM toolchain AS build
ARG REVISION=
ARG SOURCE_DATE_EPOCH=
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/bridge-source/target \
    SNKB_GIT_REV="$REVISION" packaging/static \
    && packaging/container/rootfs /rootfs "target/$(uname -m)-unknown-linux-musl/release/servicenow-kafka-bridge"

FROM toolchain AS build-simulated-instance
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/bridge-source/target \
    cargo build --locked --release -p servicenow-sim --target "$(uname -m)-unknown-linux-musl" \
    && packaging/container/rootfs /rootfs "target/$(uname -m)-unknown-linux-musl/release/servicenow-sim"

FROM scratch AS simulated-instance
COPY --from=build-simulated-instance /rootfs/ /
USER 65532:65532
EXPOSE 8090
ENTRYPOINT ["/usr/bin/servicenow-sim", "--addr", "0.0.0.0:8090"]

# Last, so that it is what is built without --target.
FROM scratch AS bridge
LABEL org.opencontainers.image.title="servicenow-kafka-bridge" \
      org.opencontainers.image.description="Moves records between ServiceNow tables and Kafka topics, both ways" \
      org.opencontainers.image.source="https://github.com/servicenow-kafka-bridge/servicenow-kafka-bridge" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /rootfs/ /
USER 65532:65532
# Checkpoints: relative paths of the configuration begin here.
WORKDIR /var/lib/servicenow-kafka-bridge
VOLUME ["/var/lib/servicenow-kafka-bridge"]
EXPOSE 8080
# Alive, not ready: while Kafka or the instance is away, starting again does not help.
HEALTHCHECK --interval=30s --timeout=15s --start-period=30s --retries=3 \
    CMD ["/usr/bin/servicenow-kafka-bridge", "probe", "live", "--config", "/etc/servicenow-kafka-bridge/config.yaml"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/bin/servicenow-kafka-bridge"]
CMD ["run", "--config", "/etc/servicenow-kafka-bridge/config.yaml"]
