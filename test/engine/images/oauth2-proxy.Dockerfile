FROM postern-test/debian
COPY oauth2-proxy /bin/oauth2-proxy
USER 65532:65532
ENTRYPOINT ["/bin/oauth2-proxy"]
