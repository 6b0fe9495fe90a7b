# As root its entry point gives its output to user `envoy`, and becomes that user.
FROM postern-test/debian
COPY envoy /usr/local/bin/envoy
RUN groupadd -g 101 envoy 2>/dev/null || groupmod -n envoy "$(getent group 101 | cut -d: -f1)"; \
  useradd -o -u 101 -g 101 -d /home/envoy envoy \
  && printf '%s\n' '#!/usr/bin/env sh' 'set -e' \
    'if [ "${1#-}" != "$1" ]; then set -- envoy "$@"; fi' \
    'if [ "$ENVOY_UID" != "0" ] && [ "$(id -u)" = "0" ]; then' \
    '  if [ -n "$ENVOY_UID" ]; then usermod -u "$ENVOY_UID" envoy; fi' \
    '  chown envoy:envoy /dev/stdout /dev/stderr' \
    '  exec su-exec envoy "$@"' \
    'fi' \
    'exec "$@"' > /docker-entrypoint.sh && chmod 755 /docker-entrypoint.sh
ENTRYPOINT ["/docker-entrypoint.sh"]
CMD ["envoy", "-c", "/etc/envoy/envoy.yaml"]
