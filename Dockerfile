# Three stages: everything that building needs, the build, and what running needs (Node, the bundle, PGlite, the migrations).
FROM node:24-bookworm-slim AS dependencies
WORKDIR /mate
COPY package.json package-lock.json ./
COPY tools/node/package.json tools/node/
COPY tools/mate/ tools/mate/

RUN npm ci --ignore-scripts

FROM dependencies AS build
COPY . .
# The base image’s own Node, not the one that npm scripts find first.
RUN node scripts/build.ts

FROM node:24-bookworm-slim
ENV NODE_ENV=production HOST=0.0.0.0 PORT=3000 MATE_DATA_DIR=/data
WORKDIR /mate
COPY --from=build /mate/package.json ./
COPY --from=build /mate/db/migrations db/migrations
COPY --from=build /mate/build build
COPY --from=build /mate/node_modules/@electric-sql/pglite node_modules/@electric-sql/pglite
RUN mkdir /data && chown node:node /data
USER node
VOLUME /data
EXPOSE 3000
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.PORT}/health/ready`).then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
CMD ["node", "build/server/index.js"]
