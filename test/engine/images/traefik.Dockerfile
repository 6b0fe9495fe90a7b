# As root; options alone are Traefik's.
FROM postern-test/debian
COPY traefik /usr/local/bin/traefik
RUN printf '%s\n' '#!/bin/sh' 'set -e' \
    'if [ "${1#-}" != "$1" ]; then set -- traefik "$@"; fi' \
    'if traefik "$1" --help > /dev/null 2>&1; then set -- traefik "$@"; fi' \
    'exec "$@"' > /entrypoint.sh && chmod 755 /entrypoint.sh
ENTRYPOINT ["/entrypoint.sh"]
CMD ["traefik"]
