# What apt has for the other images, in one layer that they share.
FROM debian:bookworm-slim
RUN apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
    busybox curl gettext-base gosu haproxy netcat-openbsd nginx prometheus python3 \
  && rm -rf /var/lib/apt/lists/* && ln -s /bin/busybox /usr/local/bin/wget \
  # Alpine's name for the same program.
  && ln -s "$(command -v gosu)" /usr/local/bin/su-exec
