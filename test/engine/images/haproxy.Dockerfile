# As user 99, SIGUSR1 ends it; its entry point adds the options of a container.
FROM postern-test/debian
RUN groupmod -o -g 99 haproxy && usermod -o -u 99 -g 99 haproxy \
  && printf '%s\n' '#!/bin/sh' 'set -e' \
    'if [ "${1#-}" != "$1" ]; then set -- haproxy "$@"; fi' \
    'if [ "$1" = haproxy ]; then shift; set -- haproxy -W -db "$@"; fi' \
    'exec "$@"' > /usr/local/bin/docker-entrypoint.sh && chmod 755 /usr/local/bin/docker-entrypoint.sh
STOPSIGNAL SIGUSR1
USER haproxy
WORKDIR /var/lib/haproxy
ENTRYPOINT ["docker-entrypoint.sh"]
CMD ["haproxy", "-f", "/usr/local/etc/haproxy/haproxy.cfg"]
