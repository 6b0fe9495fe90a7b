# As user 1001; its entry point fills in templates of files below /tmp, and the tests' program has the pages elsewhere.
FROM postern-test/debian
COPY dex /usr/local/bin/dex.bin
COPY web /srv/dex/web
RUN printf '%s\n' '#!/bin/sh' 'exec dex.bin "$@" /srv/dex/web' > /usr/local/bin/dex \
  && printf '%s\n' '#!/bin/sh' 'set -e' \
    'file=$(mktemp /tmp/dex.config.yaml-XXXXXX)' 'cat "$3" > "$file"' 'exec "$1" "$2" "$file"' \
    > /usr/local/bin/docker-entrypoint && chmod 755 /usr/local/bin/dex /usr/local/bin/docker-entrypoint
USER 1001:1001
ENTRYPOINT ["/usr/local/bin/docker-entrypoint"]
CMD ["dex", "serve", "/etc/dex/config.docker.yaml"]
