# Node.js' own image: user `node` is 1000, a first word that is no program is a file for node.
FROM debian:bookworm-slim
COPY node/ /usr/local/
RUN groupadd -g 1000 node && useradd -u 1000 -g 1000 -m -s /bin/bash node \
  && printf '%s\n' '#!/bin/sh' 'set -e' \
    'if [ "${1#-}" != "${1}" ] || [ -z "$(command -v "${1}")" ]; then set -- node "$@"; fi' \
    'exec "$@"' > /usr/local/bin/docker-entrypoint.sh && chmod 755 /usr/local/bin/docker-entrypoint.sh
# The machine's, which a registry behind a proxy of its own may need.
COPY ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
ENV NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt
ENTRYPOINT ["docker-entrypoint.sh"]
CMD ["node"]
