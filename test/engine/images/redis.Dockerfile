# As root it gives its folder to the user redis and becomes it.
FROM postern-test/debian
RUN apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends redis-server \
  && rm -rf /var/lib/apt/lists/* && install -d -o redis -g redis /data
RUN printf '%s\n' '#!/bin/sh' 'set -e' \
    'if [ "${1#-}" != "$1" ]; then set -- redis-server "$@"; fi' \
    'if [ "$1" = redis-server ] && [ "$(id -u)" = 0 ]; then chown -R redis . && exec gosu redis "$0" "$@"; fi' \
    'exec "$@"' > /entrypoint.sh && chmod 755 /entrypoint.sh
VOLUME /data
WORKDIR /data
ENTRYPOINT ["/entrypoint.sh"]
CMD ["redis-server"]
