# As root it gives its folder to the user valkey and becomes it.
FROM postern-test/debian
COPY valkey /usr/local/bin/valkey-server
RUN useradd --system --user-group --uid 999 valkey && install -d -o valkey -g valkey /data
RUN printf '%s\n' '#!/bin/sh' 'set -e' \
    'if [ "${1#-}" != "$1" ]; then set -- valkey-server "$@"; fi' \
    'if [ "$1" = valkey-server ] && [ "$(id -u)" = 0 ]; then chown -R valkey . && exec gosu valkey "$0" "$@"; fi' \
    'exec "$@"' > /entrypoint.sh && chmod 755 /entrypoint.sh
VOLUME /data
WORKDIR /data
ENTRYPOINT ["/entrypoint.sh"]
CMD ["valkey-server"]
