# A Node app that listens on $PORT. Made by the platform, yours to change.
ARG BASE_IMAGE=@NODE_IMAGE@
FROM ${BASE_IMAGE}
WORKDIR /app

# The registry of the build, as a variable of the steps that need it: it ends up in no layer and in no file.
ARG NPM_REGISTRY
COPY package.json package-lock.json* npm-shrinkwrap.json* ./
RUN if [ -n "$NPM_REGISTRY" ]; then export npm_config_registry="$NPM_REGISTRY"; fi; \
    if [ -f package-lock.json ] || [ -f npm-shrinkwrap.json ]; then npm ci --include=dev; else npm install --include=dev; fi

# A build that fails fails the image.
COPY . .
RUN npm run build --if-present

ENV NODE_ENV=production HOST=0.0.0.0 PORT=3000
EXPOSE 3000
CMD ["npm", "run", "start"]
