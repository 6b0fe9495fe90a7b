# As root its entry point becomes PUID:PGID. The program is the tests' stand-in.
ARG NODE
FROM ${NODE} AS node
FROM postern-test/debian
COPY --from=node /usr/local/bin/node /usr/local/bin/node
COPY yaml /app/node_modules/yaml
COPY authelia.ts /app/authelia.ts
RUN printf '%s\n' '#!/bin/sh' 'exec node --no-warnings /app/authelia.ts "$@"' > /usr/local/bin/authelia \
  && printf '%s\n' '#!/bin/sh' 'set -e' \
    'if [ -n "$1" ] && [ "$1" != --config ]; then exec "$@"; fi' \
    'if [ "$(id -u)" != 0 ] || [ "$(id -g)" != 0 ]; then exec authelia "$@"; fi' \
    'chown -R "$PUID:$PGID" /config && exec su-exec "$PUID:$PGID" authelia "$@"' > /app/entrypoint.sh \
  && mkdir -p /config && chmod 755 /usr/local/bin/authelia /app/entrypoint.sh
ENV PUID=0 PGID=0
WORKDIR /app
ENTRYPOINT ["/app/entrypoint.sh"]
