# As user 10001. Its virtual environment lies where it was made, because scripts of one name that folder.
FROM postern-test/debian
# The interpreter of the virtual environment may be linked with it.
RUN apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends libpython3.11 \
  && rm -rf /var/lib/apt/lists/*
ARG VENV
COPY venv ${VENV}
# Of packages it has what an older patch of the interpreter wants too (engine.sh). One that was made with an interpreter of the machine's own finds Debian's, of the same version.
RUN [ -x ${VENV}/bin/python3 ] || ln -sf /usr/bin/python3.11 ${VENV}/bin/python3
ENV PATH=${VENV}/bin:/usr/local/bin:/usr/bin:/bin
USER 10001
