# Node, started on port 3000.
ARG BASE_IMAGE=@NODE_IMAGE@
FROM ${BASE_IMAGE}
WORKDIR /app

# The platform's registry, unless the repository has an .npmrc of its own.
ARG NPM_REGISTRY
COPY @MANIFESTS@ ./
RUN if [ ! -f .npmrc ] && [ -n "$NPM_REGISTRY" ]; then echo "registry=$NPM_REGISTRY" > .npmrc; fi

# Dependencies first: they are installed again only when one of the files above changes.
RUN @TOOL@
RUN @INSTALL@

# A build that fails fails the image.
COPY . .
RUN @BUILD@

ENV NODE_ENV=production PORT=3000
EXPOSE 3000
CMD [@START@]
