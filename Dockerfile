# One image for both processes: `docker run … postern auth --config /etc/postern/postern.yaml`, and `… relay …`.
# Nothing is written at run time: run it with `--read-only --cap-drop=ALL --security-opt=no-new-privileges`.

FROM node:24-slim AS build
WORKDIR /app
COPY package.json package-lock.json ./
# Scripts stay off: no dependency needs one, and `prepare` would build before the sources are here.
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY tsconfig.json tsconfig.build.json ./
COPY src src
RUN npm run build && npm prune --omit=dev --ignore-scripts --no-audit --no-fund

FROM node:24-slim
ENV NODE_ENV=production
WORKDIR /app
COPY --from=build /app/node_modules node_modules
COPY --from=build /app/dist dist
COPY bin bin
COPY package.json LICENSE ./
# Owned by root, run by somebody else: the process cannot change its own code.
USER node
EXPOSE 4180 4444 9464 9465
# Whichever of the two processes this is. The health listener answers on loopback inside the container.
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s \
  CMD ["node", "-e", "Promise.any([9464, 9465].map((port) => fetch(`http://127.0.0.1:${port}/healthz`).then((answer) => { if (!answer.ok) throw new Error('unhealthy'); }))).catch(() => process.exit(1))"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["node", "bin/postern.js"]
