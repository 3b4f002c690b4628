# The command as a static binary in an image that holds nothing else (target `runtime`), and beside Mage (target `mage`).
# docker-compose.yml builds both. Every version is exact: the same file builds the same program tomorrow.

FROM rust:1.91.1-alpine3.22 AS build
# aws-lc, the cryptography below TLS, is C.
RUN apk add --no-cache gcc musl-dev linux-headers
WORKDIR /src
COPY . .
# Without the private PostgreSQL and the demo: containers have a database beside them. On Alpine the binary is static.
RUN RUSTFLAGS='-C strip=symbols' cargo build --release --locked --package backfill-cli --no-default-features
RUN mkdir /empty

FROM busybox:1.37.0-musl AS tools

FROM scratch AS runtime
# The authorities that Intuit's certificates are checked against.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
# What asks the worker whether it is well: there is no shell here.
COPY --from=tools /bin/wget /bin/wget
COPY --from=build /src/target/release/qbo-backfill /usr/local/bin/qbo-backfill
# Where the vault and, apart from it, its key will be: volumes begin with the owner that these have.
COPY --from=build --chown=10001:10001 /empty /var/lib/qbo-backfill
COPY --from=build --chown=10001:10001 /empty /var/lib/qbo-backfill-key
ENV HOME=/var/lib/qbo-backfill \
    QBO_BACKFILL_VAULT=/var/lib/qbo-backfill/vault \
    QBO_BACKFILL_VAULT_KEY_FILE=/var/lib/qbo-backfill-key/vault.key
USER 10001:10001
ENTRYPOINT ["/usr/local/bin/qbo-backfill"]

FROM mageai/mageai:0.9.80 AS mage
COPY --from=build /src/target/release/qbo-backfill /usr/local/bin/qbo-backfill
# The project's volume begins as this: three pipelines, and a place for all that Mage writes.
COPY mage/project /home/src/project
RUN mkdir -p /home/src/home /var/lib/qbo-backfill /var/lib/qbo-backfill-key \
    && chown -R 10001:10001 /home/src /var/lib/qbo-backfill /var/lib/qbo-backfill-key
ENV HOME=/home/src/home \
    USER_CODE_PATH=/home/src/project \
    PYTHONPATH=/opt/qbo-backfill:/home/src \
    QBO_BACKFILL_VAULT=/var/lib/qbo-backfill/vault \
    QBO_BACKFILL_VAULT_KEY_FILE=/var/lib/qbo-backfill-key/vault.key
USER 10001:10001
