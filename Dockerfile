# One image for both processes: `docker run … postern auth --config /etc/postern/postern.yaml`, and `… relay …`.
# Nothing is written at run time: run it with `--read-only --cap-drop=ALL --security-opt=no-new-privileges`.
#
# A release is built with its list of parts and with where it came from, which `docker buildx imagetools inspect` shows:
#   docker buildx build --sbom=true --provenance=mode=max --build-arg VERSION=… --build-arg REVISION=$(git rev-parse HEAD) .
# Name the base by digest there: --build-arg NODE=node:24.11.1-slim@sha256:…

ARG NODE=node:24.11.1-slim

FROM ${NODE} AS build
WORKDIR /app
COPY package.json package-lock.json ./
# Scripts stay off: no dependency needs one, and `prepare` would build before the sources are here.
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY tsconfig.json tsconfig.build.json ./
COPY src src
RUN npm run build && npm prune --omit=dev --ignore-scripts --no-audit --no-fund
# What only compilers, editors and debuggers read is more than half of it.
RUN rm -rf node_modules/@types && find node_modules -type f \( -name '*.map' -o -name '*.[cm]ts' -o -name '*.ts' \) -delete
COPY bin bin
# `postern verify` and `postern init` read them.
COPY deploy deploy
COPY LICENSE ./
# Files of a checkout with umask 077 are its owner's alone, which in the image is root.
RUN chmod -R go+rX bin deploy dist LICENSE package.json

FROM ${NODE}
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Postern" \
  org.opencontainers.image.description="Forward-auth for reverse proxies, and a relay for MCP servers that believes only what it proved" \
  org.opencontainers.image.licenses="Apache-2.0" \
  org.opencontainers.image.version="${VERSION}" \
  org.opencontainers.image.revision="${REVISION}"
ENV NODE_ENV=production
WORKDIR /app
COPY --from=build /app/node_modules node_modules
COPY --from=build /app/dist dist
COPY --from=build /app/bin bin
COPY --from=build /app/deploy deploy
COPY --from=build /app/package.json /app/LICENSE ./
# A named volume mounted there takes its owner, so that the audit file can be written.
RUN install -d -o 1000 -g 1000 /var/log/postern
# Owned by root, run by another user: the process cannot change its own code. By number, as Kubernetes wants to see it.
USER 1000:1000
EXPOSE 4180 4444 9464 9465
# Asks the process that this container was started with, where its configuration has it answer.
HEALTHCHECK --interval=20s --timeout=10s --start-period=30s CMD ["node", "/app/bin/postern.js", "health"]
STOPSIGNAL SIGTERM
# By its whole path, so that `docker run --workdir` can name another folder.
ENTRYPOINT ["node", "/app/bin/postern.js"]
