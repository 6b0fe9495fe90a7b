# As root, SIGQUIT ends it; its logs lead to the container's output.
FROM postern-test/debian
RUN groupadd -o -g 101 nginx && useradd -o -u 101 -g 101 nginx \
  && ln -sf /dev/stdout /var/log/nginx/access.log && ln -sf /dev/stderr /var/log/nginx/error.log \
  && mkdir /docker-entrypoint.d \
  && printf '%s\n' '#!/bin/sh' 'set -e' 'exec "$@"' > /docker-entrypoint.sh && chmod 755 /docker-entrypoint.sh
STOPSIGNAL SIGQUIT
ENTRYPOINT ["/docker-entrypoint.sh"]
CMD ["nginx", "-g", "daemon off;"]
