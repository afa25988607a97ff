# The image needs no build step: Node runs the TypeScript as it is.
FROM node:24-slim AS dependencies
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --omit=dev --ignore-scripts
COPY config ./config
COPY src ./src
# What Node makes of the source before it runs it, so that the first start takes no longer than any other. By the user who is going to run
# it, or Node does not look at it, and for nobody to change.
RUN mkdir -p node_modules/.cache/understudy && chown node node_modules/.cache/understudy
USER node
RUN node src/main.ts check --config config/demo.yaml && chmod -R a+rX node_modules/.cache/understudy

FROM node:24-slim
ENV NODE_ENV=production
WORKDIR /app
COPY --from=dependencies /app/node_modules ./node_modules
COPY package.json LICENSE ./
COPY config ./config
COPY src ./src
USER node
EXPOSE 8080 9090
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s \
  CMD ["node", "-e", "fetch('http://127.0.0.1:9090/health').then(r => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
# --disable-sigusr1: no signal may open a debugger port.
ENTRYPOINT ["node", "--disable-sigusr1", "src/main.ts"]
CMD ["serve"]
