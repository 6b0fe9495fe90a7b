# As user 472, by a script. The program is the tests' stand-in.
ARG NODE
FROM ${NODE} AS node
FROM postern-test/debian
COPY --from=node /usr/local/bin/node /usr/local/bin/node
COPY grafana.ts /app/grafana.ts
RUN printf '%s\n' '#!/bin/sh' 'exec node --no-warnings /app/grafana.ts "$@"' > /run.sh && chmod 755 /run.sh
USER 472
ENTRYPOINT ["/run.sh"]
