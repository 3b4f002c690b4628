# The command as a static binary in an image that holds nothing else (target `runtime`), with a PostgreSQL for the demo
# (target `demo`), and beside Mage (target `mage`). docker-compose.yml builds the first and the last.
#
#   docker build --target demo --tag qbo-backfill:0.1.0-demo . && docker run --rm qbo-backfill:0.1.0-demo demo --out - >report.html
#
# Pinned: the tags below to the patch release, Cargo.lock to the checksum of every crate. The tags are those that the tests
# run with; to pin an image to its bytes as well, append its digest (name:tag@sha256:…). Nothing here names an architecture:
# the images that are named exist for amd64 and arm64, and `docker buildx build --platform` builds this file for both.

FROM rust:1.95.0-slim-trixie AS tools
WORKDIR /src
COPY containers/build-static /usr/local/bin/build-static

# What decides which dependencies are built: the manifests, with something empty for each program, library and test. An edit of the sources
# changes nothing here, so that the next stage is taken from the cache.
FROM tools AS manifests
COPY . /all
RUN cd /all \
    && find . -name Cargo.toml -o -name Cargo.lock | while read -r file; do \
        mkdir -p "/manifests/${file%/*}/src" && cp "$file" "/manifests/$file"; \
    done \
    && rm -rf /manifests/src \
    && for library in $(find . -path '*/src/lib.rs'); do : >"/manifests/$library"; done \
    && for program in $(find . -path '*/src/main.rs' -o -path '*/examples/*.rs' -o -path '*/tests/*.rs' -o -path '*/benches/*.rs'); do \
        mkdir -p "/manifests/${program%/*}" && echo 'fn main() {}' >"/manifests/$program"; \
    done

FROM tools AS dependencies
COPY --from=manifests /manifests .
RUN build-static --no-default-features

# Containers have a database beside them, so that this one is without the private PostgreSQL and the demo.
FROM dependencies AS build
COPY . .
# Newer than what the empty ones were compiled to.
RUN find . -name '*.rs' -not -path './target/*' -exec touch {} + && build-static --no-default-features && mkdir /empty

FROM build AS build-demo
RUN build-static

FROM scratch AS runtime
# The authorities that Intuit's certificates are checked against.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /usr/local/bin/qbo-backfill /usr/local/bin/qbo-backfill
# Where the vault and, apart from it, its key will be: volumes begin with the owner that these have.
COPY --from=build --chown=10001:10001 /empty /var/lib/qbo-backfill
COPY --from=build --chown=10001:10001 /empty /var/lib/qbo-backfill-key
ENV HOME=/var/lib/qbo-backfill \
    QBO_BACKFILL_VAULT=/var/lib/qbo-backfill/vault \
    QBO_BACKFILL_VAULT_KEY_FILE=/var/lib/qbo-backfill-key/vault.key
USER 10001:10001
ENTRYPOINT ["/usr/local/bin/qbo-backfill"]

FROM postgres:17.12-trixie AS demo
COPY --from=build-demo /usr/local/bin/qbo-backfill /usr/local/bin/qbo-backfill
# The user of that image, who may start its server. Nothing is kept, so that the demo names the command that brings its report out.
ENV HOME=/tmp \
    QBO_BACKFILL_DEMO_IMAGE=qbo-backfill:0.1.0-demo
USER 999:999
WORKDIR /tmp
ENTRYPOINT ["/usr/local/bin/qbo-backfill"]
CMD ["demo"]

FROM mageai/mageai:0.9.80 AS mage
COPY --from=build /usr/local/bin/qbo-backfill /usr/local/bin/qbo-backfill
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
