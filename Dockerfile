# The worker (`docker build .`), and local S3 and KMS for a try-out (`--target dev`).
# Install scripts stay off: the one that matters, of the dev dependency `node`, brings a Node that these images have.
ARG NODE_VERSION=24

# npm reads the manifest of every package that the lock file names.
FROM node:${NODE_VERSION}-bookworm-slim AS manifests
WORKDIR /app
COPY package.json package-lock.json ./
COPY packages/extract/package.json ./packages/extract/
COPY packages/local-aws/package.json ./packages/local-aws/

FROM manifests AS all
RUN npm ci --ignore-scripts --no-audit --no-fund

# The services run from source and listen on the container's own network.
FROM all AS dev
COPY packages/local-aws ./packages/local-aws
RUN mkdir /data && chown 1000:1000 /data
VOLUME /data
USER 1000:1000
EXPOSE 4566 4567
HEALTHCHECK --interval=2s --timeout=3s --start-period=15s --retries=5 \
  CMD ["node", "-e", "Promise.all([process.env.AWS_ENDPOINT_URL_S3 || 'http://127.0.0.1:4566', process.env.AWS_ENDPOINT_URL_KMS || 'http://127.0.0.1:4567'].map((url) => fetch(url))).then(() => process.exit(0), () => process.exit(1))"]
ENTRYPOINT ["node", "packages/local-aws/bin/local-aws.js", "--host", "0.0.0.0", "--dir", "/data", "--s3-port", "4566", "--kms-port", "4567", "--no-redis"]

FROM all AS build
COPY tsconfig.json LICENSE ./
COPY .ci/stage.js ./.ci/
COPY packages ./packages
COPY src ./src
RUN npm run build && node .ci/stage.js packages/extract staged/extract

# Of the packages only extract, as a link to packages/extract.
FROM manifests AS production
RUN npm ci --omit=dev --workspace=@sealdex/extract --include-workspace-root --ignore-scripts --no-audit --no-fund

FROM node:${NODE_VERSION}-bookworm-slim AS worker
ENV NODE_ENV=production
WORKDIR /app
COPY package.json LICENSE ./
COPY bin ./bin
COPY --from=production /app/node_modules ./node_modules
COPY --from=build /app/staged/extract ./packages/extract
COPY --from=build /app/dist ./dist
# The image's user `node`, by number: so an orchestrator can see that it is not root.
USER 1000:1000
EXPOSE 9464
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --retries=3 \
  CMD ["node", "-e", "const host = process.env.SEALDEX_HOST || '127.0.0.1'; fetch(`http://${host.includes(':') ? `[${host}]` : host}:${process.env.SEALDEX_PORT || 9464}/livez`).then((answer) => process.exit(answer.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["node", "/app/bin/sealdex.js"]
CMD ["worker"]
